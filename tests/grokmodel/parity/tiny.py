"""Parity trials so small that a test may train them."""

import torch

from grokmodel.parity.config import ParityConfig
from grokmodel.parity.family import FAMILY
from grokmodel.parity.pack import Member, Pack

CPU = torch.device("cpu")


def tiny(**changes):
    """A trial of some hundred parameters; every field that a test relies on is set here."""
    values = {
        "hidden": 8,
        "gain": 0.8,
        "train_fraction": 1.0,
        "max_length": 4,
        "val_length": 9,
        "val_sequences": 20,
        "batch": 6,
        "batches": "one length",
        "lr": 0.05,
        "warmup": 3,
        "steps": 40,
        "eval_every": 5,
        "seed": 1,
    }
    return ParityConfig(**(values | changes))


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
