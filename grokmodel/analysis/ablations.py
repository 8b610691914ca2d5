"""Are the frequencies used? A hook point's activation is projected off them, or on to them only.

The control takes equally many random frequencies. Because of the projection leak (`projections.py`)
the top frequencies are also projected with `fit` = within_split.

Shapes: M members, Q = P^2 pairs, n order of the group, X pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from grokmodel.core.member import Hook
from grokmodel.diffusion import flow
from grokmodel.image.evaluate import Decoders
from grokmodel.probing.activations import grid_of, mean_activations
from grokmodel.probing.fourier import Spectrum
from grokmodel.probing.hooks import HookPoint, hook_points, last_ffn
from grokmodel.probing.null import SpectrumWithNull, against_null
from grokmodel.probing.probe import Grids, Probe, Shares, shares
from grokmodel.probing.projections import (
    KEEP,
    REMOVE,
    Frequencies,
    projecting,
    projecting_within_split,
)

EVERY = Shares(1.0, 1.0, 1.0)
"""All accuracies are known."""
CLEAN = "none"
TOP, RANDOM = "top", "random"
ALL, WITHIN_SPLIT = "all", "within_split"
RANDOM_DRAWS = 5
"""Random sets of frequencies for every top one."""
SAMPLE_STEPS = 1
"""Euler steps of the samples: one, from pure noise, asks for the answer and nothing else."""
NOT_ABLATED = ("block0.query", "weighted_value", "head_output")
"""The first query sees the c-token alone; of the last two, the attention output is a linear image,
with which a projection commutes."""


@dataclass(frozen=True)
class AblationRow:
    """Accuracies with one hook point projected; meanings in the table `ablations`."""

    hook: str
    mode: str
    selection: str
    n_frequencies: int
    draw: int
    fit: str
    frequencies: str
    is_key: bool
    train_acc: float
    val_acc: float
    val_acc_strict: float


def points_by_name(probe: Probe) -> dict[str, list[HookPoint]]:
    """Sites that are ablated together: all heads and both operands of one activation."""
    groups: dict[str, list[HookPoint]] = {}
    for point in hook_points(probe.shape):
        if not {point.name, point.kind} & set(NOT_ABLATED):
            groups.setdefault(point.name, []).append(point)
    return groups


def spectra_of(probe: Probe, points: Sequence[HookPoint], t: float = 1.0) -> list[SpectrumWithNull]:
    """A spectrum per member of hook points of one activation, taken together, at noise level t."""
    name = points[0].name
    seen = mean_activations(probe, t, [name])[name]
    found = []
    for i, orders_Rn in enumerate(probe.random_orders):
        grid = probe.order.arrange(grid_of(probe, seen, i, *points))
        found += against_null([grid], orders_Rn)
    return found


@torch.no_grad()
def ablations(probe: Probe, decoders: Decoders) -> list[list[AblationRow]]:
    """Rows of every member: every activation, removed and kept, top and random frequencies.

    The top frequencies are the dominant frequencies (see `Spectrum`), and, where these are more
    than half of all, also the top half, because removing nearly everything tells nothing."""
    clean = _accuracies(probe, decoders, None)
    rows = [[AblationRow("", CLEAN, "", 0, 0, ALL, "", False, *a)] for a in clean]
    for name, points in points_by_name(probe).items():
        found = spectra_of(probe, points)
        for size in ("dominant frequencies", "half"):
            sets = [leading_set(s, size) for s in found]
            if any(sets):
                key = [set(s.key_frequencies) for s in found]
                _ablate(rows, probe, decoders, name, points, sets, key)
    return rows


def leading_set(found: Spectrum, size: str) -> tuple[int, ...]:
    """The dominant frequencies, or the top half where they are more; () if there is none."""
    half = len(found.frequencies) // 2
    if size == "dominant frequencies":
        return found.dominant
    return tuple(sorted(found.leading[:half])) if len(found.dominant) > half else ()


def _ablate(
    rows: list[list[AblationRow]],
    probe: Probe,
    decoders: Decoders,
    name: str,
    points: Sequence[HookPoint],
    sets: Frequencies,
    key: Sequence[set[int]],
) -> None:
    """Append the rows of one activation and one set of top frequencies per member."""
    selected = [(*each, ALL) for each in top_and_random(probe, sets)]
    for selection, draw, some, fit in [*selected, (TOP, 0, sets, WITHIN_SPLIT)]:
        for mode in (REMOVE, KEEP):
            if fit == ALL:
                hook, known = projecting(points, probe, some, mode), [EVERY] * len(probe)
            else:
                hook, known = projecting_within_split(points, probe, some, mode)
            found = _accuracies(probe, decoders, hook)
            for mine, chosen, of_key, a, can in zip(rows, some, key, found, known, strict=True):
                if chosen:  # this member has such a set
                    accuracies = (value * k for value, k in zip(a, can, strict=True))
                    what = (name, mode, selection, draw, fit)
                    mine.append(row_of(*what, chosen, of_key, accuracies))


def top_and_random(probe: Grids, top: Frequencies) -> list[tuple[str, int, Frequencies]]:
    """Selection, number of the draw, and frequencies of every member: the top ones, then as many
    random ones, which are the same every time."""
    everything = np.arange(1, probe.order.n // 2 + 1)
    rngs = [np.random.default_rng([member.config.seed, probe.P, len(mine)])
            for member, mine in zip(probe.members, top, strict=True)]  # fmt: skip
    draws = [
        (RANDOM, draw, [sorted(rng.choice(everything, len(mine), replace=False).tolist())
                        for rng, mine in zip(rngs, top, strict=True)])
        for draw in range(RANDOM_DRAWS)
    ]  # fmt: skip
    return [(TOP, 0, top), *draws]


def row_of(
    hook: str,
    mode: str,
    selection: str,
    draw: int,
    fit: str,
    chosen: Sequence[int],
    key: set[int],
    accuracies: Iterable[float],
) -> AblationRow:
    """The row of a set of frequencies.

    Args:
        key: the key frequencies of its member.
    """
    listed, is_key = " ".join(map(str, chosen)), set(chosen) <= key
    what = (hook, mode, selection, len(chosen), draw, fit, listed, is_key)
    return AblationRow(*what, *accuracies)


def _accuracies(probe: Probe, decoders: Decoders, hook: Hook | None) -> list[Shares]:
    x = probe.sample(probe.noise(), SAMPLE_STEPS, probe.operands(), hook)
    return shares(probe.right(x, decoders, SAMPLE_STEPS), probe, in_group=True)


# --- blocked arithmetic ---------------------------------------------------------------------------


@dataclass(frozen=True)
class BlockedRow:
    """Accuracies with the neurons' frequencies removed in a part of sampling only."""

    when: str
    level: int
    t: float
    train_acc: float
    val_acc: float
    val_acc_strict: float


ABOVE, BELOW = "t > t*", "t <= t*"


@torch.no_grad()
def blocked(probe: Probe, decoders: Decoders) -> list[list[BlockedRow]]:
    """Remove the dominant frequencies at the FFN neurons only while t > t*, or only while t <= t*.

    One row for each of the `sample_steps` + 1 places where the sampler can stand.
    """
    point = last_ffn(probe.shape)
    sets = [s.dominant for s in spectra_of(probe, [point])]
    hook = projecting([point], probe, sets, REMOVE)
    operands, steps = probe.operands(), probe.shape.sample_steps
    rows: list[list[BlockedRow]] = [[] for _ in probe.members]
    for when, first, then in ((ABOVE, hook, None), (BELOW, None, hook)):
        x = probe.noise()
        for level in range(steps, -1, -1):
            end = probe.sample(x, level, operands, then, t_start=level / steps)
            found = shares(probe.right(end, decoders, steps), probe, in_group=True)
            for mine, a in zip(rows, found, strict=True):
                mine.append(BlockedRow(when, level, level / steps, *a))
            if level:
                x = flow.euler_step(x, probe.predict(x, level / steps, operands, first), level)
    return rows
