"""Files of a run: journal, checkpoints, tables, configuration."""
