"""Activations of trained members at every hook point over the whole (a, b) grid.

Shapes: M members, P modulus, d features of a hook point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.probing.hooks import HookPoint, hook_points, recorder
from grokmodel.probing.probe import Probe

DRAWS = 4
"""Draws of images and noise that a grid is the mean of, where they differ at all."""


@dataclass(frozen=True)
class Grid:
    """Mean activation of one hook point of one member."""

    point: HookPoint
    values: np.ndarray
    """(P, P, d) float32 indexed [a, b]."""


@torch.no_grad()
def record(probe: Probe, t: float, draw: int = 0, c_MQ: Tensor | None = None) -> dict[str, Tensor]:
    """Every named activation (M, Q, ...) with the right results (or `c_MQ`) noised to level t."""
    seen: dict[str, Tensor] = {}
    probe.predict(probe.noised(t, draw, c_MQ), t, probe.operands(draw), recorder(seen))
    return seen


@torch.no_grad()
def mean_activations(
    probe: Probe,
    t: float,
    names: Sequence[str] | None = None,
    draws: int = DRAWS,
    c_MQ: Tensor | None = None,
) -> dict[str, Tensor]:
    """Activations (M, Q, ...) averaged over images and noise; only those `names` if given.

    Args:
        c_MQ: classes of the noisy images that are shown; by default the right results.
    """
    mean: dict[str, Tensor] = {}
    draws = 1 if probe.is_certain(t) else draws
    for draw in range(draws):
        for name, value in record(probe, t, draw, c_MQ).items():
            if names is None or name in names:
                mean[name] = mean.get(name, 0.0) + value / draws
    return mean


def collect(
    probe: Probe, t: float, draws: int = DRAWS, c_MQ: Tensor | None = None
) -> Iterator[list[Grid]]:
    """Grids of every hook point at noise level `t`, one list per member.

    Args:
        probe: over the whole grid of pairs.
        c_MQ: as of `mean_activations`.
    """
    mean = mean_activations(probe, t, draws=draws, c_MQ=c_MQ)
    for i in range(len(probe)):
        yield [
            Grid(point, grid_of(probe, mean[point.name], i, point))
            for point in hook_points(probe.shape)
        ]


def grid_of(probe: Probe, value: Tensor, i: int, *points: HookPoint) -> np.ndarray:
    """(P, P, d) what member i has at hook points of one activation, taken together."""
    parts = [p.view(value[i : i + 1], probe.shape).reshape(probe.P, probe.P, -1) for p in points]
    return torch.cat(parts, dim=-1).cpu().numpy()
