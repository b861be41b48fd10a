"""Gymnasium environments as learners see them, and checks that an environment is fit for learning."""
