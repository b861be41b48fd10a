"""Optimal control of given dynamics and costs: pure functions, float64, costs to be minimised."""
