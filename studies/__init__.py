"""Studies: the questions that were asked of reverie, how each was measured, and what came out."""
