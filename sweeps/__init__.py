"""What to run: entry scripts, presets, the paper's experiments."""
