"""What a run leaves on disk: journal, checkpoints, tables, configuration."""
