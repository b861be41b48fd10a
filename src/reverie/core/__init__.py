"""Types and contracts that all other packages use: transitions, agents, errors."""
