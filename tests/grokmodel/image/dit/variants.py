"""Structures that a model may have, and a `DiT` beside the pack for the same weights."""

import torch
from hypothesis import strategies as st

from grokmodel.image.config import ACTIVATIONS, NORMS, POSITIONS, TIME_EMBEDDINGS, VARIANTS
from grokmodel.image.dit import DiT
from tests.grokmodel.batch import B, Batch, T
from tests.grokmodel.tiny import tiny

CHOICES = {
    "variant": VARIANTS,
    "depth": (1, 2),
    "heads": (1, 2, 4),
    "patch": (8, 4, 2),
    "ffn": (16, 24),
    "sandwich_ffn": (0, 24),
    "sandwich_skip": (True, False),
    "norm": NORMS,
    "qk_norm": (False, True),
    "position": POSITIONS,
    "time_embedding": TIME_EMBEDDINGS,
    "activation": ACTIVATIONS,
    "input_gate": (False, True),
    "visible_below": (1.0, 0.7),
    "adaln_zero": (False, True),
    "zero_output": (False, True),
}
"""Every field that changes what the model is, and values that it may have."""

LARGE = {"depth": 2, "heads": 2, "variant": "sandwich", "patch": 4, "activation": "swiglu"}
"""A model with every hook point there is."""


def each_choice():
    """Every value of every field, the other fields as in a large model and as in a small one."""
    for name, values in CHOICES.items():
        for value in values:
            yield {name: value}
            yield LARGE | {"position": "rotary", "qk_norm": True, name: value}


def any_variant():
    return st.fixed_dictionaries({name: st.sampled_from(v) for name, v in CHOICES.items()})


class Pair:
    """A member of a pack and its `DiT`, both in float32, on the same batch."""

    def __init__(self, changes, member=1, members=2):
        self.config, self.i = tiny(**changes), member
        self.batch = batch = Batch(self.config.shape, members)
        for name in ("weights", "bank", "images", "x_t", "t"):
            setattr(batch, name, getattr(batch, name).float())
        self.dit = DiT(self.config).load_row(batch.weights[member])

    @property
    def arguments(self):
        """Of the forward pass of the `DiT`."""
        a, b = self.batch.images[self.i].unbind(1)
        return a, b, self.batch.x_t[self.i], self.batch.t[self.i].repeat_interleave(B // T)

    @torch.no_grad()
    def by_dit(self):
        return self.dit(*self.arguments)

    @torch.no_grad()
    def by_pack(self, hook=None):
        return self.batch.predict(hook=hook)[self.i]


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
