"""Optimal control of given dynamics and costs: pure functions in float64 that minimise cost."""
