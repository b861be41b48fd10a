"""Learning over time: training, evaluating, saving and resuming."""
