"""What everything else speaks of: transitions, agents, errors."""
