"""Trials on rule-valid images so small that a test may train them."""

import torch

from grokmodel.rules.config import RulesConfig
from grokmodel.rules.family import FAMILY
from grokmodel.rules.pack import Member, Pack

CPU = torch.device("cpu")


def tiny(**changes):
    """A trial of some hundred parameters; every field that a test relies on is set here."""
    values = {
        "model": "flow",
        "pixels_per_token": 6,
        "group_size": 3,
        "images": 20,
        "width": 8,
        "depth": 1,
        "heads": 2,
        "ffn": 12,
        "batch": 8,
        "lr": 3e-3,
        "warmup": 3,
        "steps": 20,
        "eval_every": 5,
        "eval_samples": 16,
        "sample_steps": 3,
        "seed": 1,
    }
    return RulesConfig(**(values | changes))


def pack_of(*configs):
    return Pack([Member.start(c) for c in configs], CPU)


def rounds(members):
    return FAMILY.train(members, None, CPU)


def train_together(*configs):
    """Members trained as one pack until each has finished."""
    members = [Member.start(c) for c in configs]
    for _ in rounds(members):
        pass
    return members
