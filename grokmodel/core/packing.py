"""Which trials train together: those of one shape, in packs of about equal size."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

MOST_ON_GPU = 256
"""Members of a pack there, at most."""


class Shaped(Protocol):
    """What of a config says with which others it can train."""

    @property
    def shape(self) -> Hashable: ...
    @property
    def steps(self) -> int: ...


C = TypeVar("C", bound=Shaped)


def by_shape(configs: Sequence[C]) -> dict[Hashable, list[C]]:
    """Trials that can train as one program, those of most steps first."""
    groups: dict[Hashable, list[C]] = {}
    for config in configs:
        groups.setdefault(config.shape, []).append(config)
    return {shape: sorted(group, key=lambda c: -c.steps) for shape, group in groups.items()}


def evenly(group: Sequence[C], count: int) -> list[tuple[C, ...]]:
    """So many packs of about equal size. Members of one pack should stop at the same time, so
    neighbors in budget stay together."""
    bounds = [round(i * len(group) / count) for i in range(count + 1)]
    return [tuple(group[i:j]) for i, j in pairwise(bounds)]
