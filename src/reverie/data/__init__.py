"""Memory of what happened, for learning."""
