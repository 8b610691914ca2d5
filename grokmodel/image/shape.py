"""What trials must have in common to train as one fused program."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeVar

MOST_ON_GPU = 256
"""Members of a pack there, at most."""


@dataclass(frozen=True, kw_only=True)
class PackShape:
    """The fields of TrialConfig that fix tensor shapes and the program; all else is per member."""

    side: int
    patch: int
    width: int
    depth: int
    heads: int
    ffn: int
    variant: str
    sandwich_ffn: int
    sandwich_skip: bool
    norm: str
    qk_norm: bool
    position: str
    time_embedding: str
    activation: str
    adaln_zero: bool
    input_gate: bool
    visible_below: float
    precision: str
    optimizer: str
    loss: str
    batch: int
    t_levels: int
    sample_steps: int
    final_sample_steps: int
    eval_every: int

    @property
    def tokens_per_image(self) -> int:
        return (self.side // self.patch) ** 2

    @property
    def token_dim(self) -> int:
        return self.patch**2


SHAPE_FIELDS = tuple(field.name for field in dataclasses.fields(PackShape))


@functools.lru_cache(maxsize=1024)
def pack_shape(*values: Any) -> PackShape:
    """One object for all configs with these values of the shape's fields."""
    return PackShape(**dict(zip(SHAPE_FIELDS, values)))


class Shaped(Protocol):
    """What of a config says with which others it can train."""

    @property
    def shape(self) -> PackShape: ...
    @property
    def steps(self) -> int: ...


C = TypeVar("C", bound=Shaped)


def by_shape(configs: Sequence[C]) -> dict[PackShape, list[C]]:
    """Trials that can train as one program, those of most steps first."""
    groups: dict[PackShape, list[C]] = {}
    for config in configs:
        groups.setdefault(config.shape, []).append(config)
    return {shape: sorted(group, key=lambda c: -c.steps) for shape, group in groups.items()}


def evenly(group: Sequence[C], count: int) -> list[tuple[C, ...]]:
    """So many packs of about equal size. Members of one pack should stop at the same time, so
    neighbors in budget stay together."""
    bounds = [round(i * len(group) / count) for i in range(count + 1)]
    return [tuple(group[i:j]) for i, j in pairwise(bounds)]
