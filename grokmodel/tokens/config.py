"""The config of a trial that learns a ∘ b from tokens: data and model.

What any trial has (optimizer, budget, seed) is declared in `grokmodel.core.config`; its defaults
for lr, warm-up, weight decay and betas are those of Nanda et al. 2023 (arXiv 2301.05217).
"""

from __future__ import annotations

import functools
from collections.abc import Hashable
from dataclasses import dataclass

from grokmodel.core.config import (
    Config,
    check_divides,
    declare_family,
    redeclare,
    shape_of,
)
from grokmodel.core.fields import INSIDE_UNIT, POSITIVE, Range, declare, fields_of
from grokmodel.data.names import OPERATIONS, PRIME_OPERATIONS, SPLITS, is_prime
from grokmodel.errors import ConfigError

ACTIVATIONS = ("relu", "gelu")
MAX_P = 257
MAX_SIZE = 16_384
"""Largest width and MLP: beyond it a number is more likely a slip than intended, and up to it no
tensor of one trial has more than 2^31 numbers, 8 GiB."""


@dataclass(frozen=True)
class TokensShape:
    """The fields of TokensConfig that fix tensor shapes and the program; all else is per member."""

    P: int
    width: int
    heads: int
    ffn: int
    activation: str
    optimizer: str
    eval_every: int


@dataclass(frozen=True, kw_only=True)
class TokensConfig(Config):
    """Everything that can change the outcome of one trial of the token model."""

    family: str = declare_family("tokens")
    op: str = declare("add", "operation on Z_P that gives c from a and b", choices=OPERATIONS)
    P: int = declare(
        113, "modulus: number of symbols; a prime for `div`", bounds=Range.whole(3, MAX_P)
    )
    train_fraction: float = declare(
        0.3, "share R of all pairs (a, b) that trains; the rest validates", unit="share",
        bounds=INSIDE_UNIT,
    )  # fmt: skip
    split: str = declare(
        "ordered",
        "`ordered`: (a, b) and (b, a) fall independently; `unordered`: always on the same side",
        choices=SPLITS,
    )

    width: int = declare(
        128, "width of the residual stream; divisible by `heads`", bounds=Range.whole(1, MAX_SIZE)
    )
    heads: int = declare(4, "attention heads", bounds=Range.whole(1, MAX_SIZE))
    ffn: int = declare(
        512, "hidden units of the feed-forward network", bounds=Range.whole(1, MAX_SIZE)
    )
    activation: str = declare("relu", "MLP non-linearity", choices=ACTIVATIONS)
    init_scale: float = declare(
        1.0,
        "weights start as N(0, init_scale^2 / width), those of the unembedding as "
        "N(0, init_scale^2 / (P + 1)), biases at 0",
        bounds=POSITIVE,
    )

    ema: float = redeclare("ema", 0.0)
    steps: int = redeclare("steps", 15_000)
    eval_every: int = redeclare("eval_every", 100)

    def check(self) -> None:
        super().check()
        check_divides(vars(self), "heads", "width")
        if self.op in PRIME_OPERATIONS and not is_prime(self.P):
            raise ConfigError("P", self.P, f"a prime for op = {self.op!r}")

    @functools.cached_property
    def shape(self) -> TokensShape:
        """What must be equal for trials to train as one fused program."""
        return shape_of(self, TokensShape)

    def strict_evaluated(self) -> int:
        from grokmodel.data.pairs import split_pairs  # numpy: not to print help

        return int(split_pairs(self).strict.sum())

    @property
    def kind(self) -> Hashable:
        return self.shape, self.op

    @property
    def activations(self) -> int:
        return self.P**2 * max(self.width, self.ffn)

    @property
    def cost(self) -> float:
        """Weights touched per training pair, times training pairs."""
        hidden = 2 * self.width + 2 * self.ffn + self.P
        return float(self.train_fraction * self.P**2 * self.width * hidden)


FIELDS = fields_of(TokensConfig)
"""Name -> declaration of every field of TokensConfig, in order."""
