"""Replay of real transitions, and the treatment of outliers in it."""
