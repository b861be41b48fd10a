"""Pure functions of arrays, one equation or idea per file."""
