"""When, on the way from noise to image, is the answer computed?

Levels count the Euler steps above the image: level l of L - 1 stands for t = l / (L - 1). `recover`
starts from the right result noised to a level, `rectify` from a wrong one; `swap` exchanges the
operands at a level half-way through sampling. All samples that start at different levels go down
together: at level l everything that started at l or above takes one step.

Shapes: M members, Q pairs, X pixels, L levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.data.pairs import UNDEFINED, result_table
from grokmodel.diffusion import flow
from grokmodel.image.evaluate import Decoders
from grokmodel.image.pack import Member
from grokmodel.probing.activations import grid_of, mean_activations
from grokmodel.probing.fourier import spectrum
from grokmodel.probing.hooks import last_ffn
from grokmodel.probing.probe import Probe

LEVELS = 51
"""Noise levels, as in the paper: 50 Euler steps and the image."""
PAIRS = 200
"""Pairs a level that start from a wrong class: the fewest that can tell RECTIFIED from none."""
FEW_PAIRS = 100
"""Pairs a level where no such threshold is at stake: recover and swap."""
ENTROPY_DRAWS = 2
"""Draws of images and noise of the grid whose entropy is taken at each level."""
RECTIFIED = 0.005
"""Rectify accuracy below which a level counts as too late to change the answer."""
MOVES = 0.01
"""Range of the entropy over all levels from which its steepest change predicts anything."""


@dataclass(frozen=True)
class TimestepRow:
    """One level; meanings in the table `timesteps`."""

    level: int
    t: float
    recover_acc: float
    rectify_acc: float
    entropy: float


@dataclass(frozen=True)
class CriticalRow:
    """Where computing ends and drawing begins; meanings in the table `critical`."""

    levels: int
    observed: int | None
    predicted: int | None
    difference: int | None


@dataclass(frozen=True)
class SwapRow:
    """One level of the operand swap; meanings in the table `swaps`."""

    level: int
    t: float
    old_share: float
    new_share: float
    neither_share: float


def some_pairs(members: Sequence[Member], count: int) -> np.ndarray:
    """(M, count, 2) random defined pairs of each member, with repetition if there are too few."""
    out = []
    for member in members:
        c = member.config
        pairs = np.argwhere(result_table(c.op, c.P) != UNDEFINED)
        rng = np.random.default_rng([c.seed, c.P, count])
        out.append(pairs[rng.choice(len(pairs), count, replace=len(pairs) < count)])
    return np.stack(out)


# --- recover and rectify --------------------------------------------------------------------------


@torch.no_grad()
def timesteps(
    grid: Probe, decoders: Decoders
) -> tuple[list[list[TimestepRow]], list[list[CriticalRow]]]:
    """Rows of every member, by level and in all.

    Args:
        grid: over the whole grid of pairs, for the entropy; samples are made of some pairs.
    """
    few, more = (grid.at(some_pairs(grid.members, n)) for n in (FEW_PAIRS, PAIRS))
    recover_ML = _started_at_every_level(few, decoders, few.c_MQ)
    rectify_ML = _started_at_every_level(more, decoders, more.wrong_classes())
    entropy_ML = _entropies(grid)
    by_level, in_all = [], []
    for recover, rectify, entropy in zip(recover_ML, rectify_ML, entropy_ML, strict=True):
        by_level.append(
            [
                TimestepRow(k, k / (LEVELS - 1), *map(float, (recover[k], rectify[k], entropy[k])))
                for k in range(LEVELS)
            ]
        )
        in_all.append([critical(rectify, entropy)])
    return by_level, in_all


def critical(rectify_L: np.ndarray, entropy_L: np.ndarray) -> CriticalRow:
    """Observed: largest level with rectify accuracy below RECTIFIED, None if there is none.
    Predicted: level at which the FVE entropy changes most steeply, by central differences, None if
    it changes by less than MOVES in all; at the first and the last level these are one-sided, where
    one step weighs as much as two elsewhere: a prediction there tells little (and does not count in
    `grok reproduce`)."""
    late = np.flatnonzero(rectify_L < RECTIFIED)
    observed = int(late.max()) if len(late) else None
    steepest = int(np.argmax(np.abs(np.gradient(entropy_L))))
    predicted = steepest if np.ptp(entropy_L) >= MOVES else None
    difference = None if observed is None or predicted is None else predicted - observed
    return CriticalRow(len(rectify_L), observed, predicted, difference)


def _started_at_every_level(probe: Probe, decoders: Decoders, c_MQ: Tensor) -> np.ndarray:
    """(M, L) accuracy of samples that start from classes `c_MQ` noised to each level."""
    end_MLQX = _descend(probe, c_MQ)
    right = [probe.right(end_MLQX[:, k], decoders).double().mean(1) for k in range(LEVELS)]
    return torch.stack(right, dim=1).cpu().numpy()


def _descend(probe: Probe, c_MQ: Tensor) -> Tensor:
    """Ends (M, L, Q, X) of samples that join at every level, index 0 being level 0."""
    of_pairs = probe.operands()
    x, operands = probe.noise()[:, :0], of_pairs[:, :0]
    for level in range(LEVELS - 1, -1, -1):
        t = level / (LEVELS - 1)
        x = torch.cat([x, probe.noised(t, 0, c_MQ)], dim=1)
        operands = torch.cat([operands, of_pairs], dim=1)
        if level:
            x = flow.euler_step(x, probe.predict(x, t, operands), level)
    return x.unflatten(1, (LEVELS, -1)).flip(1)


def _entropies(grid: Probe) -> np.ndarray:
    """(M, L) FVE entropy of the FFN pre-activation at every level."""
    point = last_ffn(grid.shape, "pre")
    out = np.zeros((len(grid), LEVELS))
    for k in range(LEVELS):
        seen = mean_activations(grid, k / (LEVELS - 1), [point.name], ENTROPY_DRAWS)[point.name]
        for i in range(len(grid)):
            out[i, k] = spectrum(grid.order.arrange(grid_of(grid, seen, i, point))).entropy
    return out


# --- operand swap ---------------------------------------------------------------------------------


@torch.no_grad()
def swaps(grid: Probe, decoders: Decoders) -> list[list[SwapRow]]:
    """Rows of every member: whose sum do samples follow if (a, b) changes at each level?

    At level L - 1 all of the sampling is with the new pair, at level 0 none of it.
    """
    probe = grid.at(some_pairs(grid.members, FEW_PAIRS))
    new_pair_MQ2, new_c_MQ = _pairs_of_another_sum(probe)
    old_operands, new_operands = probe.operands(0), probe.operands(1, new_pair_MQ2)
    trunk = probe.noise()  # sampled with the old pair; a copy of it leaves at every level
    x, operands = trunk[:, :0], old_operands[:, :0]
    for level in range(LEVELS - 1, -1, -1):
        x = torch.cat([x, trunk], dim=1)
        operands = torch.cat([operands, new_operands], dim=1)
        if level:
            t = level / (LEVELS - 1)
            both = torch.cat([trunk, x], dim=1)
            hat = probe.predict(both, t, torch.cat([old_operands, operands], dim=1))
            trunk, x = flow.euler_step(both, hat, level).split([probe.Q, x.shape[1]], dim=1)
    end_MLQX = x.unflatten(1, (LEVELS, -1)).flip(1)
    found = torch.stack([probe.classes(end_MLQX[:, k], decoders) for k in range(LEVELS)], dim=1)
    old = (found == probe.c_MQ[:, None]).double().mean(-1).tolist()
    new = (found == new_c_MQ[:, None]).double().mean(-1).tolist()
    return [
        [SwapRow(k, k / (LEVELS - 1), o[k], n[k], 1.0 - o[k] - n[k]) for k in range(LEVELS)]
        for o, n in zip(old, new, strict=True)
    ]


def _pairs_of_another_sum(probe: Probe) -> tuple[Tensor, Tensor]:
    """(M, Q, 2) pairs whose result differs from that of the probe's own, and these results."""
    config = probe.members[0].config
    table = result_table(config.op, config.P)
    pairs = np.argwhere(table != UNDEFINED)
    results = table[pairs[:, 0], pairs[:, 1]]
    chosen = np.zeros((len(probe), probe.Q), dtype=np.int64)
    old_MQ = probe.c_MQ.cpu().numpy()
    for i, member in enumerate(probe.members):
        rng = np.random.default_rng([member.config.seed, probe.P, 2])
        same = np.ones(probe.Q, dtype=bool)
        while same.any():  # draw again where the sum happens to be the same
            chosen[i, same] = rng.integers(len(pairs), size=int(same.sum()))
            same = results[chosen[i]] == old_MQ[i]
    to = probe.device
    return torch.from_numpy(pairs[chosen]).to(to), torch.from_numpy(results[chosen]).to(to)
