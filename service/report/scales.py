"""Where the values of an axis stand in a plane of cells: by their size, and not one beside another.

The page of a sweep places its cells in the same way (`service/page/js/map.js`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

LINEAR, LOG, ORDINAL = "linear", "log", "ordinal"
WIDE = 10.0
"""Ratio of the largest to the smallest value from which an axis may be logarithmic."""


@dataclass(frozen=True)
class Scale:
    """Places of cells along an axis, their mean width 1."""

    values: Sequence[Any]
    """In their order."""

    @cached_property
    def kind(self) -> str:
        """Logarithmic where values are spread so; words, and two values, have no distances."""
        numbers = all(isinstance(v, int | float | np.number) for v in self.values)
        if not numbers or len(self.values) < 3 or isinstance(self.values[0], bool | np.bool_):
            return ORDINAL
        positive = np.array([v for v in self.values if v > 0], float)
        wide = self.values[0] >= 0 and len(positive) > 1 and positive[-1] / positive[0] >= WIDE
        if wide and (len(positive) < 3 or _spread(np.log10(positive)) < _spread(positive)):
            return LOG
        return LINEAR

    @property
    def has_break(self) -> bool:
        """A value of 0 has no place on a logarithmic axis: it stands apart."""
        return self.kind == LOG and self.values[0] == 0

    @cached_property
    def edges(self) -> np.ndarray:
        """(n + 1,) ends of the cells, half-way between neighbors, from 0 to n."""
        n = len(self.values)
        if self.kind == ORDINAL:
            return np.arange(n + 1.0)
        at = np.array(self.values, float)
        if self.kind == LOG:
            logs = np.log10(at[at > 0])
            step = (logs[-1] - logs[0]) / (len(logs) - 1)
            at = np.concatenate([[logs[0] - step], logs]) if self.has_break else logs
        middle = (at[1:] + at[:-1]) / 2
        edges = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
        return (edges - edges[0]) * n / (edges[-1] - edges[0])

    @property
    def narrowest(self) -> float:
        """Width of the narrowest cell, where 1 is the mean."""
        return float(np.diff(self.edges).min())

    def at(self, place: Any) -> Any:
        """Position of a place: i is where cell i begins, i + 0.5 its middle."""
        return np.interp(place, np.arange(len(self.edges)), self.edges)


def _spread(at: np.ndarray) -> float:
    gaps = np.diff(at)
    return float(gaps.max() / gaps.min())
