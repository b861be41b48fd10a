"""Logged transitions: what others recorded, or another run experienced, read, checked and converted for learning.

`reading` reads any of them as a `LogData`, `checks` says what is wrong with it, `fitting` converts it to an environment's
units, and `stored` keeps it in a run directory.
"""
