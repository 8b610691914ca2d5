"""What to run: presets and entry scripts."""
