"""Planes whose sides are formulas, a search on one of them, and how far boundaries are apart."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import optuna

from service.boundary.lattice import Bools, Floats, edges, first_points
from service.boundary.plane import Axis, Plane
from service.boundary.sampler import BoundarySampler

SIZE, PACK = 16, 8
optuna.logging.set_verbosity(optuna.logging.WARNING)


def truths(seed: int, size: int = SIZE) -> Iterator[tuple[str, Floats]]:
    """Named shares over a lattice, each with both sides in it."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    height = 0.45 + rng.uniform(0.1, 0.25) * np.sin(rng.uniform(2, 6) * x + rng.uniform(0, 6))
    turn, (cx, cy), (a, b) = (
        rng.uniform(0, np.pi),
        rng.uniform(0.25, 0.75, 2),
        rng.uniform(0.17, 0.33, 2),
    )
    u = np.cos(turn) * (x - cx) + np.sin(turn) * (y - cy)
    v = np.cos(turn) * (y - cy) - np.sin(turn) * (x - cx)
    bend = across + rng.uniform(-0.3, 0.3) * (x - 0.5) ** 2 - rng.uniform(-0.12, 0.12)
    fields = {  # positive on one side; in units of the plane
        "straight": across - rng.uniform(-0.25, 0.25),
        "curved": y - height,
        "hyperbola": (x + 0.05) * (y + 0.05) - rng.uniform(0.1, 0.4),
        "island": 0.25 * (1 - np.hypot(u / a, v / b)),
        "two boundaries": rng.uniform(0.15, 0.22) - np.abs(bend),
        "thin band": rng.uniform(0.045, 0.1) - np.abs(across - rng.uniform(-0.25, 0.25)),
    }
    for name, field in fields.items():
        if (field > 0).any() and (field <= 0).any():
            yield name, (field > 0).astype(float)
    for name in ("straight", "hyperbola", "island"):
        probability = 1 / (1 + np.exp(-2 * size * fields[name]))
        share = rng.binomial(3, probability) / 3
        if (share >= 0.5).any() and (share < 0.5).any():
            yield f"{name}, three noisy seeds", share


def searched(share_XY: Floats, tolerance: int = 1, pack: int = PACK) -> tuple[Floats, Bools, int]:
    """What a search observes of a truth, the sides it comes to, and its rounds."""
    names = ("lr", "weight_decay")
    axes = [Axis(name, tuple(range(1, n + 1)), False) for name, n in zip(names, share_XY.shape)]
    plane = Plane(*axes, fixed={}, seeds=(0,))
    sampler = BoundarySampler(plane, tolerance)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    left, rounds = share_XY.size // 4, 0
    count = len(first_points(share_XY.shape, tolerance))
    while True:
        trials = []
        while len(trials) < min(count, left) and sampler.next_point(study) is not None:
            trials.append(study.ask(sampler.distributions))
        if not trials:
            share_XY, belief = sampler.observed(study)
            return share_XY, belief.side_XY, rounds
        for trial in trials:
            study.tell(trial, share_XY[plane.point(trial.params)])
        left, count, rounds = left - len(trials), pack, rounds + 1


def distance(side_XY: Bools, other_XY: Bools) -> float:
    """Cells from the edge of one boundary that is farthest from the other one, to that one.

    0 if there is no edge.
    """
    return float(distances(side_XY, other_XY).max(initial=0.0))


def distances(side_XY: Bools, other_XY: Bools) -> Floats:
    """Cells from every edge of one boundary to the nearest of the other one, infinite if that has
    none: between the middles of edges, along the axis where they are farther apart."""
    middles, others = edges(side_XY).mean(axis=1), edges(other_XY).mean(axis=1)
    apart = np.abs(middles[:, None] - others).max(axis=-1)
    return apart.min(axis=1, initial=math.inf)
