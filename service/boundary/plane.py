"""A plane of two config fields: its lattice of points, and the trials of each point."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grokmodel.configs import FIELDS, config_from
from grokmodel.core.config import Config
from grokmodel.core.outcome import COMPREHENSION, GROKKING, MEMORIZATION
from grokmodel.errors import ConfigError
from service.boundary.lattice import Point
from service.data import inputs

LOG_FIELDS = ("weight_decay", "lr", "N", "init_scale", "batch", "steps", "width", "ffn")
"""Fields whose values people space by factors."""
SIDES = {
    "generalized": (GROKKING, COMPREHENSION),
    "learned": (MEMORIZATION, GROKKING, COMPREHENSION),
}
"""What tells sides apart -> the phases of one side: by the last step of its budget a trial has
learned the strict pairs (those whose mirror (b, a) is held out too), or the training pairs."""
LEAST_CELLS = 3
"""Values per axis: with fewer there is nothing to look for between them."""
MOST_POINTS = 10_000
"""Points of a lattice: each round weighs all of them."""


@dataclass(frozen=True)
class Axis:
    """One config field and the values that it takes, ascending."""

    field: str
    values: tuple[float, ...]
    log: bool
    """Whether the values are spaced by factors."""

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Plane:
    """Two axes, and everything else fixed."""

    x: Axis
    y: Axis
    fixed: Mapping[str, Any]
    """Config field -> value, of those that are given."""
    seeds: tuple[int, ...]
    """Each point is trained once with each."""
    what: str = "generalized"
    """What tells its sides apart: one of SIDES."""
    data_root: str | None = None
    """Folder of the images that its trials are bound to; None: to none in particular."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.x), len(self.y)

    def values(self, point: Point) -> dict[str, float]:
        """What the two fields are at a point."""
        x, y = point
        return {self.x.field: self.x.values[x], self.y.field: self.y.values[y]}

    def point(self, values: Mapping[str, float]) -> Point | None:
        """The point at which the two fields have these values; None: they are at none."""
        return self._places.get((values.get(self.x.field), values.get(self.y.field)))

    @functools.cached_property
    def _places(self) -> dict[tuple[float | None, ...], Point]:
        return {tuple(self.values(point).values()): point for point in np.ndindex(self.shape)}

    def configs(self, point: Point) -> list[Config]:
        """The trials of a point, one per seed.

        Raises:
            ConfigError: the config of a trial here is not allowed.
        """
        values = {**self.fixed, **self.values(point)}
        trials = [config_from({**values, "seed": seed}) for seed in self.seeds]
        return trials if self.data_root is None else inputs.bind(trials, self.data_root)

    @functools.cached_property
    def trial_ids(self) -> dict[Point, list[str]]:
        """The ids of the trials of every point."""
        return {
            point: [config.trial_id for config in self.configs(point)]
            for point in np.ndindex(self.shape)
        }

    def phases_at(self, point: Point, phases: Mapping[str, str]) -> list[str]:
        """The phase of each seed at a point, of those by trial id; nothing unless all are there."""
        ids = self.trial_ids[point]
        return [phases[i] for i in ids] if all(i in phases for i in ids) else []

    def share(self, phases: Sequence[str]) -> float:
        """Share of a point's trials that are on the side that `what` names."""
        return sum(phase in SIDES[self.what] for phase in phases) / len(phases)

    def side(self, is_on: bool) -> str:
        """A side in words. What a trial would do after its last step is not known, so its budget
        is part of them."""
        is_axis = "steps" in (self.x.field, self.y.field)
        end = "its last step" if is_axis else f"step {self.configs((0, 0))[0].steps:,}"
        return f"{'' if is_on else 'not '}{self.what} by {end}"

    def identity(self) -> dict[str, Any]:
        """What makes two planes the same, as JSON has it.

        The fixed fields are those of one point, where some may not count (`decoder_1step` at
        N = 1): they name a difference, the trials of all points decide whether there is one.
        """
        trials = json.dumps(list(self.trial_ids.values())).encode()
        return {
            "x": [self.x.field, list(self.x.values)],
            "y": [self.y.field, list(self.y.values)],
            "fixed": self.configs((0, 0))[0].to_dict() | {self.x.field: None, self.y.field: None},
            "seeds": list(self.seeds),
            "what": self.what,
            "trials": hashlib.sha256(trials).hexdigest()[:16],
        }


def make_plane(
    x: Axis, y: Axis, fixed: Mapping[str, Any], seeds: Sequence[int], what: str = "generalized"
) -> Plane:
    """A plane, checked.

    Raises:
        ConfigError: one field twice, too many points, or a point whose config is not allowed.
    """
    if x.field == y.field:
        raise ConfigError("--y", y.field, f"another field than that of --x, {x.field}")
    for axis in (x, y):
        if axis.field in fixed:
            flag = f"--{axis.field.replace('_', '-')}"
            raise ConfigError(flag, fixed[axis.field], f"left out: {axis.field} is an axis")
    if len(x) * len(y) > MOST_POINTS:
        raise ConfigError("--cells", (len(x), len(y)), f"such that points are <= {MOST_POINTS}")
    plane = Plane(x, y, dict(fixed), tuple(seeds), what)
    _ = plane.trial_ids  # refuses the first point that cannot be trained
    return plane


def spaced_axis(
    flag: str, field: str, low: float, high: float, cells: int, log: bool | None
) -> Axis:
    """Values from low to high; those of an integer field are rounded, and each there once.

    Args:
        log: whether they are spaced by factors; None: as is usual for the field.

    Raises:
        ConfigError: names the flag and what is wrong with it.
    """
    _check_field(flag, field)
    if cells < LEAST_CELLS:
        raise ConfigError("--cells", cells, f"{LEAST_CELLS} or more along each axis")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(flag, (field, low, high), "LOW below HIGH, both finite")
    log = field in LOG_FIELDS if log is None else log
    if log and low <= 0:
        words = f"above 0 for a log axis: take {flag}-scale linear, or {flag}-values"
        raise ConfigError(f"{flag} {field}", low, words)
    if cells > MOST_POINTS:
        raise ConfigError("--cells", cells, f"at most {MOST_POINTS}")
    numbers = np.geomspace(low, high, cells) if log else np.linspace(low, high, cells)
    spaced = [low, *map(_short, numbers[1:-1]), high]
    return _axis(flag, field, map(round, spaced) if _is_whole(field) else spaced, log)


def listed_axis(flag: str, field: str, values: Sequence[float], log: bool | None) -> Axis:
    """The values as they are given, in order; log is that of the axis in the study, if possible."""
    _check_field(flag, field)
    for value in values:
        if _is_whole(field) and not float(value).is_integer():
            raise ConfigError(f"{flag}-values", value, f"a whole number, as {field} is")
    log = min(values) > 0 and field in LOG_FIELDS if log is None else log
    return _axis(flag, field, values, log)


def needs_list(axis: Axis, error: ConfigError) -> bool:
    """Whether a config may be refused because values of this axis were spaced and rounded."""
    return _is_whole(axis.field) and (
        axis.field == error.field or f"{axis.field} =" in error.allowed
    )


def _is_whole(field: str) -> bool:
    return FIELDS[field].type is int


def _axis(flag: str, field: str, values: Iterable[float], log: bool) -> Axis:
    number = FIELDS[field].type
    distinct = sorted({number(v) for v in values})
    if len(distinct) < LEAST_CELLS:
        words = f"a range with {LEAST_CELLS} or more different values"
        raise ConfigError(f"{flag} {field}", tuple(distinct), words)
    if log and distinct[0] <= 0:
        raise ConfigError(f"{flag} {field}", distinct[0], "above 0 for a log axis")
    return Axis(field, tuple(distinct), log)


def _check_field(flag: str, field: str) -> None:
    allowed = [
        name for name, field in FIELDS.items() if field.type in (int, float) and name != "seed"
    ]
    if field not in allowed:
        raise ConfigError(flag, field, f"a config field that is a number: {', '.join(allowed)}")


def _short(value: float) -> float:
    """Six digits are enough to tell cells apart, and can be typed again."""
    return float(f"{value:.6g}")
