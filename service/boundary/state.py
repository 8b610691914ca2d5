"""Where a search stands: what it looks for, what it has observed, what it infers of the rest."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from grokmodel.errors import ConfigError
from service.boundary import lattice
from service.boundary.lattice import Belief, Bools, Floats, Point
from service.boundary.plane import Plane
from service.text import count

KNOWN, OPEN, NONE_SEEN = "known", "not known yet", "none seen"
"""What is known of the boundary that was seen; `none seen`: all that was observed is on one side.
None of them says that there is no boundary elsewhere."""
PART = 4
"""A search may take this part of the dense lattice, unless it is told otherwise ..."""
FIRST_ROUNDS = 2
"""... or so many times its first round, which of a small lattice is more."""


@dataclass(frozen=True)
class Search:
    """What is looked for, and how much it may cost."""

    name: str
    plane: Plane
    tolerance: int
    """Cells."""
    most_points: int
    """Points that are asked, at most."""

    @property
    def first(self) -> list[Point]:
        """The points of the first round."""
        return lattice.first_points(self.plane.shape, self.tolerance)


@dataclass(frozen=True)
class Found:
    """Where the boundary is, as far as it is known."""

    search: Search
    share_XY: Floats
    """Share of seeds on one side, NaN where nothing is observed."""
    belief: Belief
    phases: dict[Point, list[str]]
    """The phase of each seed at the points that are observed."""

    @property
    def points(self) -> int:
        return len(self.phases)

    @property
    def ties(self) -> int:
        """Observed points where half of the seeds are on either side."""
        return int((self.share_XY == 0.5).sum())

    @functools.cached_property
    def open_XY(self) -> Bools:
        """Where the boundary is not known to the tolerance."""
        return lattice.unresolved(self.share_XY, self.belief.side_XY, self.search.tolerance)

    @property
    def state(self) -> str:
        """One of KNOWN, OPEN and NONE_SEEN."""
        if not len(lattice.edges(self.belief.side_XY)):
            return NONE_SEEN
        return OPEN if self.open_XY.any() else KNOWN

    @property
    def boundary_in_words(self) -> str:
        if self.state == NONE_SEEN:
            return "no boundary seen: all observed points are on one side"
        if self.state == OPEN:
            return f"boundary not known yet at {count(int(self.open_XY.sum()), 'point')}"
        return f"boundary known to {count(self.search.tolerance, 'cell')} where it was seen"

    def in_words(self) -> str:
        plane, size = self.search.plane, self.share_XY.size
        cost = f"{self.points} of {size} points ({self.points / size:.0%})"
        words = f"{self.boundary_in_words}; {cost}, {self.points * len(plane.seeds)} trials"
        if self.ties:
            words += f"; seeds tied at {count(self.ties, 'point')}, counted as {plane.what}"
        return words


def make_search(name: str, plane: Plane, tolerance: int, max_trials: int | None) -> Search:
    """A search, checked.

    Raises:
        ConfigError: a tolerance of no cells, or trials that do not suffice for the first round.
    """
    widest = max(plane.shape)
    if not 1 <= tolerance < widest:
        raise ConfigError("--tolerance", tolerance, f"from 1 to {widest - 1} cells")
    least = len(lattice.first_points(plane.shape, tolerance))
    size = math.prod(plane.shape)
    usual = max(math.ceil(size / PART), min(size, FIRST_ROUNDS * least))
    most = usual if max_trials is None else max_trials // len(plane.seeds)
    if most < least:
        words = f"{least * len(plane.seeds)} or more: the first round takes so many"
        raise ConfigError("--max-trials", max_trials, words)
    return Search(name, plane, tolerance, most)


def to_json(found: Found) -> dict[str, Any]:
    """Every point of the lattice with its side, and the edges between the sides."""
    plane, belief = found.search.plane, found.belief
    points = []
    for place in np.ndindex(plane.shape):
        phases = found.phases.get(place)
        points.append({
            **dict(zip("xy", plane.values(place).values())),
            "status": "inferred" if phases is None else "observed",
            plane.what: bool(belief.side_XY[place]),
            "score": round(float(belief.score_XY[place]), 4),
            "phases": phases or [],
        })  # fmt: skip
    ends = lattice.edges(belief.side_XY).tolist()
    return {
        "sweep": found.search.name,
        "x": plane.x.field,
        "y": plane.y.field,
        "what": plane.what,
        "sides": [plane.side(False), plane.side(True)],
        "seeds": list(plane.seeds),
        "tolerance": found.search.tolerance,
        "state": found.state,
        "known": found.state == KNOWN,
        "ties": found.ties,
        "points": points,
        "boundary": [[list(plane.values((x, y)).values()) for x, y in pair] for pair in ends],
    }
