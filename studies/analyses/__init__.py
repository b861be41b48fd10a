"""Analyses that were made once, to answer one question about one figure of the docs: a file each."""
