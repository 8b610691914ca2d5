"""Analyses of trained models: arrays in, typed rows out, no input or output."""
