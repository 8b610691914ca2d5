"""The search for a boundary: ask the study, train with the sweep, tell, until it is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from service.boundary import figure as boundary_figure
from service.boundary import lattice
from service.boundary.figure import cells_in_words
from service.boundary.lattice import KNOWN, NONE_SEEN, OPEN, Belief, Floats, Point
from service.boundary.plane import Plane
from service.boundary.study import BoundaryStudy
from service.report import figures
from service.schedule.plan import PACKS_PER_SLOT, Resources
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table

MEMBERS = {"cpu": PACKS_PER_SLOT, "gpu": 64}
"""Trials a slot in one round: as many as keep it busy without asking what the last would teach."""
LEAST_ROUND = 4
ROUNDS_OF_LATTICE = 8
"""A round asks at least so many points, and at most this part of the lattice."""
SHARE = 4
"""A search may take this part of the dense lattice, unless it is told otherwise ..."""
FIRST_ROUNDS = 2
"""... or so many times its first round, which of a small lattice is more."""

Train = Callable[[Sequence[TrialConfig]], object]
"""Bring a sweep of these trials to its end."""


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
        return lattice.first_points(self.plane.shape, self.tolerance)


@dataclass(frozen=True)
class Found:
    """Where the boundary is, as far as it is known."""

    search: Search
    share_XY: Floats
    belief: Belief
    phases: dict[Point, list[str]]
    """The phase of each seed at the points that are observed."""

    @property
    def points(self) -> int:
        return len(self.phases)

    @property
    def open_ends(self) -> int:
        """Places where the boundary is not known to the tolerance."""
        is_open_XY = lattice.unresolved(self.share_XY, self.belief.side_XY, self.search.tolerance)
        return int(is_open_XY.sum())

    @property
    def state(self) -> str:
        """One of KNOWN, OPEN and NONE_SEEN."""
        if not len(lattice.edges(self.belief.side_XY)):
            return NONE_SEEN
        return OPEN if self.open_ends else KNOWN

    def in_words(self) -> str:
        size, trials = self.share_XY.size, self.points * len(self.search.plane.seeds)
        cost = f"{self.points} of {size} points ({self.points / size:.0%}), {trials} trials"
        if self.state == NONE_SEEN:
            return (
                "no boundary seen: all observed points are on one side, and the lattice between "
                f"them was not looked at; {cost}"
            )
        if self.state == OPEN:
            return f"boundary not known yet at {self.open_ends} places; {cost}"
        return f"boundary known to {cells_in_words(self.search.tolerance)}; {cost}"


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
    usual = max(math.ceil(size / SHARE), min(size, FIRST_ROUNDS * least))
    most = usual if max_trials is None else max_trials // len(plane.seeds)
    if most < least:
        words = f"{least * len(plane.seeds)} or more: the first round takes so many"
        raise ConfigError("--max-trials", max_trials, words)
    return Search(name, plane, tolerance, most)


def round_size(plane: Plane, resources: Resources) -> int:
    """Points a round that fill the cluster, though not so many that nothing is learned between."""
    fill = math.ceil(resources.slots * MEMBERS[resources.kind] / len(plane.seeds))
    return max(LEAST_ROUND, min(fill, math.prod(plane.shape) // ROUNDS_OF_LATTICE))


def find_boundary(
    search: Search,
    study: BoundaryStudy,
    store: Store,
    train: Train,
    pack: Callable[[], int],
    say: Callable[[str], None],
) -> Found:
    """Search from wherever the study and the table stand.

    Args:
        train: trains what is not trained of the configs that it gets.
        pack: points a round; asked for when it is needed.
    """
    first, rounds = search.first, 0
    while True:
        found = _look(search, study, store)
        batch = study.running() or _next(search, found, first, pack)
        if not batch and rounds:
            break
        study.ask(batch)
        asked = study.asked()
        if batch:
            say(f"boundary: {len(batch)} points to observe, {found.points} known")
        # all of the sweep: what is trained already costs nothing, and the sweep is the whole
        train([config for point in asked for config in search.plane.configs(point)])
        rounds += 1
        found = _look(search, study, store)
        publish(found, store)
        say(found.in_words())
    return found


def publish(found: Found, store: Store) -> list[str]:
    """Write boundary.json and its picture, and return their keys."""
    prefix = keys.boundary_prefix(found.search.name)
    figure = boundary_figure.draw(
        found.search.plane, found.search.tolerance, found.belief, found.phases
    )
    files = {
        "boundary.json": json.dumps(to_json(found), indent=1).encode(),
        "boundary.png": figures.png(figure),
        "boundary.svg": figures.svg(figure),
    }
    for name, data in files.items():
        store.put(f"{prefix}/{name}", data)
    return [f"{prefix}/{name}" for name in files]


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
        "seeds": list(plane.seeds),
        "tolerance": found.search.tolerance,
        "state": found.state,
        "known": found.state == KNOWN,
        "points": points,
        "boundary": [[list(plane.values((x, y)).values()) for x, y in pair] for pair in ends],
    }


def _look(search: Search, study: BoundaryStudy, store: Store) -> Found:
    """What the table knows by now; the study is brought up to it."""
    rows = read_table(store, "trials", search.name, columns=["trial_id", "phase"])
    phase_of = dict(zip(rows["trial_id"], rows["phase"]))
    study.sync(phase_of)
    plane, share_XY = search.plane, np.full(search.plane.shape, np.nan)
    seen = {point: plane.phases_at(point, phase_of) for point in np.ndindex(plane.shape)}
    phases = {point: its for point, its in seen.items() if its}
    for point, its in phases.items():  # of the table, which is the truth, not of the study
        share_XY[point] = plane.share(its)
    if phases:
        return Found(search, share_XY, lattice.believe(share_XY), phases)
    nothing = np.zeros(plane.shape)
    return Found(search, share_XY, Belief(nothing, nothing > 0), phases)


def _next(
    search: Search, found: Found, first: Sequence[Point], pack: Callable[[], int]
) -> list[Point]:
    """Points for the next round; none: the search is at its end."""
    missing = [point for point in first if point not in found.phases]
    left = search.most_points - found.points
    if missing or left <= 0:
        return missing[: max(left, 0)]
    return lattice.propose(found.share_XY, min(pack(), left), search.tolerance)
