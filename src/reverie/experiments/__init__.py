"""The paper's experiments as data, the cells they consist of, where those run, and what they say in the end."""
