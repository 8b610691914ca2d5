"""Token trials so small that a test may train them."""

import torch

from grokmodel.tokens.config import TokensConfig
from grokmodel.tokens.family import FAMILY
from grokmodel.tokens.pack import Member

CPU = torch.device("cpu")


def tiny(**changes):
    """A trial of about 1,000 parameters; every field that a test relies on is set here."""
    values = {
        "op": "add",
        "P": 7,
        "train_fraction": 0.6,
        "split": "ordered",
        "width": 8,
        "heads": 2,
        "ffn": 12,
        "activation": "relu",
        "steps": 20,
        "warmup": 5,
        "eval_every": 5,
        "seed": 1,
    }
    return TokensConfig(**(values | changes))


def train_together(*configs):
    """Members trained as one pack until each has finished."""
    members = [Member.start(c) for c in configs]
    for _ in FAMILY.train(members, None, CPU):
        pass
    return members
