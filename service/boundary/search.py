"""The search for a boundary: ask the study, train with the sweep, tell, until it is known."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from grokmodel.core.config import Config
from service.boundary import figure as boundary_figure
from service.boundary.plane import Plane
from service.boundary.state import Found, Search, to_json
from service.boundary.study import BoundaryStudy
from service.report import figures
from service.schedule.plan import PACKS_PER_SLOT, Resources
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table
from service.text import count

DRAW_EVERY_S = 30.0
"""Drawing takes a second: at most so often, and at the end."""
MEMBERS = {"cpu": PACKS_PER_SLOT, "gpu": 64}
"""Trials per slot in one round: as many as keep it busy."""
LEAST_ROUND = 4
ROUNDS_OF_LATTICE = 8
"""A round asks at least so many points, and at most this part of the lattice."""

Train = Callable[[Sequence[Config]], object]
"""Bring a sweep of these trials to its end."""


def round_size(plane: Plane, resources: Resources) -> int:
    """Points per round that fill the cluster, but few enough that a round learns from the last."""
    fill = math.ceil(resources.slots * MEMBERS[resources.kind] / len(plane.seeds))
    return max(LEAST_ROUND, min(fill, math.prod(plane.shape) // ROUNDS_OF_LATTICE))


def find_boundary(
    search: Search,
    url: str,
    store: Store,
    train: Train,
    pack: Callable[[], int],
    log: Callable[[str], None],
) -> Found:
    """Search from wherever the study and the table stand.

    Args:
        url: storage of the study.
        train: trains what is not trained of the configs that it gets.
        pack: points per round; called when it is needed.

    Raises:
        SettingsError: the storage of the study cannot be used.
        ConfigError: the name belongs to a search in another plane.
    """
    study = BoundaryStudy(search.name, search.plane, search.tolerance, url)
    found, rounds, drawn_at = _look(search, study, store), 0, -math.inf
    while True:
        batch = study.running()  # of a driver that was killed
        if not batch:
            study.ask(_count(search, found, pack))
            batch = study.running()
        if batch:
            log(f"boundary: {count(len(batch), 'point')} to observe, {found.points} observed")
        elif rounds:
            draw(found, store)
            return found
        # all of the sweep: what is trained already costs nothing, and the sweep is the whole
        train([config for point in study.asked() for config in search.plane.configs(point)])
        rounds += 1
        found = _look(search, study, store)
        prefix = keys.boundary_prefix(search.name)
        store.put(f"{prefix}/boundary.json", json.dumps(to_json(found), indent=1).encode())
        if time.monotonic() - drawn_at > DRAW_EVERY_S:
            draw(found, store)
            drawn_at = time.monotonic()
        log(found.in_words())


def draw(found: Found, store: Store) -> None:
    """Write the picture of what is known."""
    prefix, figure = keys.boundary_prefix(found.search.name), boundary_figure.draw(found)
    store.put(f"{prefix}/boundary.png", figures.render(figure, "png"))
    store.put(f"{prefix}/boundary.svg", figures.render(figure, "svg"))


def _look(search: Search, study: BoundaryStudy, store: Store) -> Found:
    """What the table knows by now; the study is brought up to it."""
    rows = read_table(store, "trials", search.name, columns=["trial_id", "phase"])
    phase_of = dict(zip(rows["trial_id"], rows["phase"]))
    share_XY, belief = study.sync(phase_of)
    seen = {p: search.plane.phases_at(p, phase_of) for p in np.ndindex(search.plane.shape)}
    phases = {point: its for point, its in seen.items() if its}
    return Found(search, share_XY, belief, phases)


def _count(search: Search, found: Found, pack: Callable[[], int]) -> int:
    """Points of the next round, at most: all that the first one lacks, then a pack."""
    missing = sum(point not in found.phases for point in search.first)
    left = search.most_points - found.points
    return min(missing or pack(), left) if left > 0 else 0
