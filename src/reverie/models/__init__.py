"""Dynamics models fitted to few episodes."""
