"""Finite Markov decision processes: known tables are solved, unknown ones learnt.  Sutton & Barto 2018, parts I and 8.2."""
