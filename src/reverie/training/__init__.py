"""Everything that runs in time: learning, evaluating, saving, going on."""
