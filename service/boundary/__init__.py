"""The boundary between two sides of a plane of configs, from few of its points."""
