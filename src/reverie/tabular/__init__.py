"""Finite Markov decision processes: solve known tables, and learn from samples.  Sutton & Barto 2018, part I."""
