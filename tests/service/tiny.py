"""Trials small enough to train for real in every test."""

from grokmodel.image.config import TrialConfig


def tiny_config(**fields):
    """A trial that trains in well under a second."""
    small = {"P": 7, "side": 8, "width": 16, "ffn": 16, "batch": 32, "t_levels": 8}
    small |= {"steps": 40, "eval_every": 10, "sample_steps": 2, "final_sample_steps": 3}
    return TrialConfig(**{**small, **fields})
