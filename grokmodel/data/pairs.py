"""The task: pairs (a, b), the operation that gives c, and which pairs train.

The mirror leak: a + b = b + a, so with an ordered split most validation pairs have their mirror
(b, a) in training, and a model that merely ignores order scores high. `Split.strict` marks the
validation pairs whose mirror is held out too; the diagonal counts as strict. Of a - b and a / b the
mirror has another result, and leaks nothing; but 0 / b, a / a and a - a give the same for all, need
no rule, and are a good part of the strict pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from grokmodel.data.names import OPERATIONS
from grokmodel.errors import ConfigError

UNDEFINED = -1
"""Result of a pair that the operation does not define (division by zero)."""


def result_table(op: str, P: int) -> np.ndarray:
    """c for every pair: int64 (P, P) indexed [a, b]; UNDEFINED where there is none."""
    a, b = np.meshgrid(np.arange(P), np.arange(P), indexing="ij")
    if op == "add":
        return (a + b) % P
    if op == "sub":
        return (a - b) % P
    if op == "mul":
        return (a * b) % P
    if op == "div":
        inverse = np.array([UNDEFINED if k == 0 else pow(k, -1, P) for k in range(P)])
        return np.where(b == 0, UNDEFINED, (a * inverse[b]) % P)
    raise ConfigError("op", op, f"one of {', '.join(OPERATIONS)}")


class PairsConfig(Protocol):
    """What of a config says which pairs there are and which train."""

    @property
    def op(self) -> str: ...
    @property
    def P(self) -> int: ...
    @property
    def train_fraction(self) -> float: ...
    @property
    def split(self) -> str: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Split:
    """Training and validation pairs of one trial."""

    train: np.ndarray
    """(n_train, 2) int64 pairs (a, b)."""
    val: np.ndarray
    """(n_val, 2) int64 pairs in random order."""
    strict: np.ndarray
    """(n_val,) bool: the mirror (b, a) does not train either."""


def split_pairs(config: PairsConfig) -> Split:
    """Split all defined pairs of the trial, drawn from its seed.

    Raises:
        ConfigError: when `train_fraction` leaves one side without a pair.
    """
    table = result_table(config.op, config.P)
    pairs = np.argwhere(table != UNDEFINED)
    rng = np.random.default_rng([config.seed, config.P])
    n_train = round(config.train_fraction * len(pairs))
    if config.split == "ordered":
        order = rng.permutation(len(pairs))
    else:
        # a pair and its mirror share one random key, so they are neighbors in the order
        key_PP = rng.permutation(config.P**2).reshape(config.P, config.P)
        low, high = pairs.min(1), pairs.max(1)
        order = np.argsort(key_PP[low, high], kind="stable")
        n_train = _whole_groups(key_PP[low, high][order], n_train)
    if not 0 < n_train < len(pairs):
        allowed = f"such that both sides get a pair (P = {config.P} has {len(pairs)} pairs)"
        raise ConfigError("train_fraction", config.train_fraction, allowed)
    train, val = pairs[order[:n_train]], pairs[order[n_train:]]
    trains = np.zeros((config.P, config.P), dtype=bool)
    trains[train[:, 0], train[:, 1]] = True
    # neighbors in the order may belong together, so both sides are shuffled once more
    train, val = rng.permutation(train), rng.permutation(val)
    return Split(train=train, val=val, strict=~trains[val[:, 1], val[:, 0]])


def _whole_groups(keys: np.ndarray, n: int) -> int:
    """The cut nearest to n that does not part equal neighboring keys."""
    cuts = np.flatnonzero(np.diff(keys) != 0) + 1
    return int(cuts[np.argmin(np.abs(cuts - n))]) if len(cuts) else n
