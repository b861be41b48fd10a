"""What the paper's experiments are, as data."""
