"""How a hook point arranges the pairs: are those with the same result together?

Merger ratio (after van Rossem and Saxe, ICML 2025): distance between states of pairs with the same
result, relative to pairs with different results; 1 at random, 0 when states have merged. Fisher
ratio: variance between the classes over variance within. Both distances are root mean squares, so
that they follow exactly from class means and variances.

Shapes: P modulus, Q pairs, d features of a hook point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grokmodel.probing.activations import Grid, collect
from grokmodel.probing.hooks import HookPoint
from grokmodel.probing.probe import Probe

LEVELS_T = (0.0, 1.0)
COMPONENTS = 3
POINTS = 124
"""Pairs a picture, at most: four a class at P = 31."""
CENTROID, PAIR = "centroid", "pair"
PICTURED = ("embedding", "head_output", "attention", "pre", "post", "output")
"""Kinds of hook points whose principal components are kept."""
NOTHING = 1e-12
"""Variance relative to the mean square below which a hook point is constant."""


@dataclass(frozen=True)
class RepresentationRow:
    """One hook point at one noise level; meanings in the table `representation`."""

    hook: str
    head: int
    t: float
    fisher: float
    merger: float
    participation: float


@dataclass(frozen=True)
class PcaRow:
    """One point of one picture; meanings in the table `pca`."""

    hook: str
    head: int
    t: float
    kind: str
    a: int
    b: int
    c: int
    pc1: float
    pc2: float
    pc3: float
    explained: float


def representation(
    probe: Probe, pictured: Sequence[bool]
) -> tuple[list[list[RepresentationRow]], list[list[PcaRow]]]:
    """Rows of every member over the whole grid, at t = 0 and t = 1.

    Args:
        pictured: for each member, whether its principal components are wanted too.
    """
    scalars: list[list[RepresentationRow]] = [[] for _ in probe.members]
    pictures: list[list[PcaRow]] = [[] for _ in probe.members]
    for t in LEVELS_T:
        for i, grids in enumerate(collect(probe, t)):
            defined, c_Q = probe.defined_MQ[i].cpu().numpy(), probe.c_MQ[i].cpu().numpy()
            mine, points = of_grids(grids, t, defined, c_Q, pictured[i])
            scalars[i] += mine
            pictures[i] += points
    return scalars, pictures


def of_grids(
    grids: Sequence[Grid], t: float, defined_Q: np.ndarray, c_Q: np.ndarray, is_pictured: bool
) -> tuple[list[RepresentationRow], list[PcaRow]]:
    """Rows of one member at one noise level.

    Args:
        defined_Q: the pairs that have a result.
        c_Q: results of all pairs.
        is_pictured: whether principal components are wanted too.
    """
    scalars: list[RepresentationRow] = []
    pictures: list[PcaRow] = []
    for grid in grids:
        P = len(grid.values)
        x_Qd = grid.values.reshape(P**2, -1)[defined_Q].astype(np.float64)
        scalars.append(_scalars(grid.point, t, x_Qd, c_Q[defined_Q]))
        if is_pictured and grid.point.kind in PICTURED:
            pairs = np.argwhere(defined_Q.reshape(P, P))
            pictures += _pca(grid, t, x_Qd, c_Q[defined_Q], pairs)
    return scalars, pictures


def _scalars(point: HookPoint, t: float, x_Qd: np.ndarray, c_Q: np.ndarray) -> RepresentationRow:
    ratios = (fisher_ratio(x_Qd, c_Q), merger_ratio(x_Qd, c_Q), participation_ratio(x_Qd))
    return RepresentationRow(point.label, point.head, float(t), *ratios)


def is_constant(x_Qd: np.ndarray) -> bool:
    """Nothing but rounding of float32 tells the states apart."""
    return bool(np.square(x_Qd - x_Qd.mean(0)).sum() <= NOTHING * np.square(x_Qd).sum())


def fisher_ratio(x_Qd: np.ndarray, c_Q: np.ndarray) -> float:
    """Variance between classes over variance within; NaN where there is no variance at all."""
    if is_constant(x_Qd):
        return float("nan")
    within = _within(x_Qd, c_Q)[0].sum()
    between = _scatter(x_Qd) - within
    return float(between / within) if within > NOTHING * between else float("inf")


def merger_ratio(x_Qd: np.ndarray, c_Q: np.ndarray) -> float:
    """RMS distance of pairs with the same result over that of pairs with different results."""
    if is_constant(x_Qd):
        return float("nan")
    # the sum of squared distances over all ordered pairs of n points is 2 n times their scatter
    n = len(x_Qd)
    within_c, size_c = _within(x_Qd, c_Q)
    total, same = 2 * n * _scatter(x_Qd), (2 * size_c * within_c).sum()
    n_same = (size_c * (size_c - 1)).sum()
    n_different = n * (n - 1) - n_same
    if not n_same or not n_different:
        return float("nan")
    return float(np.sqrt((same / n_same) / ((total - same) / n_different)))


def participation_ratio(x_Qd: np.ndarray) -> float:
    """(sum of variances)^2 / sum of their squares over principal axes: the effective dimension."""
    if is_constant(x_Qd):
        return float("nan")
    centered = x_Qd - x_Qd.mean(0)
    small = centered.T @ centered if len(centered) > centered.shape[1] else centered @ centered.T
    return float(np.trace(small) ** 2 / np.square(small).sum())


def _scatter(x_Qd: np.ndarray) -> float:
    """Sum of squared distances to the mean."""
    return float(np.square(x_Qd - x_Qd.mean(0)).sum())


def _within(x_Qd: np.ndarray, c_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scatter about its own mean and size of every class."""
    _, which, size = np.unique(c_Q, return_inverse=True, return_counts=True)
    member_cQ = (which == np.arange(len(size))[:, None]).astype(np.float64)
    deviation = np.square(x_Qd - (member_cQ @ x_Qd / size[:, None])[which]).sum(1)
    return member_cQ @ deviation, size


def _pca(
    grid: Grid, t: float, x_Qd: np.ndarray, c_Q: np.ndarray, pairs: np.ndarray
) -> list[PcaRow]:
    """Class centroids and some pairs in the plane of the first components of all pairs."""
    if is_constant(x_Qd):
        return []
    centered = x_Qd - x_Qd.mean(0)
    if centered.shape[1] < COMPONENTS:  # a score has a single feature
        centered = np.pad(centered, [(0, 0), (0, COMPONENTS - centered.shape[1])])
    variance, axes = np.linalg.eigh(centered.T @ centered)
    axes = axes[:, ::-1][:, :COMPONENTS]
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(COMPONENTS)])  # the sign is arbitrary
    explained = float(variance[::-1][:COMPONENTS].sum() / variance.sum())
    where = (grid.point.label, grid.point.head, float(t))
    points = centered @ axes
    rows = [
        PcaRow(*where, CENTROID, -1, -1, int(c), *_xyz(points[c_Q == c].mean(0)), explained)
        for c in np.unique(c_Q)
    ]
    rng = np.random.default_rng(0)  # the same pairs in every picture, so that they compare
    for q in np.sort(rng.permutation(len(pairs))[:POINTS]):
        a, b = map(int, pairs[q])
        rows.append(PcaRow(*where, PAIR, a, b, int(c_Q[q]), *_xyz(points[q]), explained))
    return rows


def _xyz(point: np.ndarray) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])
