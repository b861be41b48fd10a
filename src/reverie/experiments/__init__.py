"""The paper's experiments: what they are (`spec`), how they run (`execution`), and their results (`analysis`)."""
