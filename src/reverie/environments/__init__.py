"""Worlds: Gymnasium environments as learners see them, and what makes one fit to learn on."""
