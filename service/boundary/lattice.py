"""Where two sides of a plane meet, from few of its points: what to ask next, and when to stop.

A lattice of points (X, Y) has two sides. At some points a share in [0, 1] is observed, and the side
there is `share >= 0.5`; a Gaussian process says what the others are likely to be. An edge joins two
neighboring points of different sides; all edges together are the boundary.

**What is guaranteed** once `unresolved` is empty: within `tolerance` cells along both axes of every
edge of the boundary lies an edge of the dense lattice, the one that would be found if every point
were observed. For both ends of the edge an observed point of the same side is at most `tolerance`
cells away, and on the way from one observed point to the other the sides must change. No smoothness
is needed for that, and seeds may be as noisy as they like.

**What is not**: that nothing is missed. A region without any observed point, as one may be that is
narrower than `SPACING`, is not seen; and where the true boundary winds within 2 * `tolerance`
cells, it is drawn straighter than it is.

Letters: X, Y lattice; O observed points; Q all points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]
"""Place of a point in the lattice, along x and along y."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int_]

SPACING = 4
"""Cells between the points of the first round, for a tolerance of one cell."""
SCALES = (2.0, 3.0, 4.5, 7.0, 12.0)
"""Length scales in cells that are tried along each axis; the likeliest pair is taken."""
NOISE = 0.03
"""Variance of an observation about the smooth field, as a fraction of the field's."""
DIGITS = 9
"""Of scores and likelihoods: what is equal by symmetry is equal on every machine, whose sums differ
in the last bits; equals are then taken in the order of the lattice."""
LEAST_VARIANCE = 1e-3
"""Of the field: where every share is one half the likeliest is 0, whose log is none."""


@dataclass(frozen=True)
class Belief:
    """What the observed points say of all."""

    score_XY: Floats
    """Posterior mean of the field: 1 on one side, -1 on the other. Not a probability."""
    side_XY: Bools
    """Side of every point: as observed, otherwise the sign of the score."""


def first_points(shape: tuple[int, int], tolerance: int) -> list[Point]:
    """The coarse lattice that a search begins with: corners, sides and every SPACING cells."""
    xs, ys = (_lines(n, SPACING * tolerance) for n in shape)
    return list(itertools.product(xs, ys))


# --- the Gaussian process ------------------------------------------------------------------------


def believe(share_XY: Floats) -> Belief:
    """The posterior mean of a Gaussian process, given the shares that are observed (else NaN).

    Model: y = 2 * share - 1 = f + noise, f ~ GP(0, v k), noise ~ N(0, v NOISE), with the kernel
    k(a, b) = exp(-1/2 sum_d ((a_d - b_d) / l_d)^2), a length scale l_d per axis (Rasmussen and
    Williams, Gaussian Processes for Machine Learning, 2006, eq. 5.1). Mean at a point q:
    k(q, O) (K_OO + NOISE I)^-1 y_O (eq. 2.25); v cancels. Side: whether the mean is >= 0.
    """
    observed_XY = ~np.isnan(share_XY)
    if not observed_XY.any():
        return Belief(np.zeros(share_XY.shape), np.zeros(share_XY.shape, dtype=bool))
    points_O2 = np.argwhere(observed_XY).astype(float)
    points_Q2 = np.indices(share_XY.shape).reshape(2, -1).T.astype(float)
    # a share of one half is on neither side, so it pulls the mean to 0
    values_O = 2 * share_XY[observed_XY] - 1
    # empirical Bayes: the pair of length scales under which what is observed is likeliest
    scales = max(
        itertools.product(SCALES, SCALES), key=lambda s: _likelihood(points_O2 / s, values_O)
    )
    # (K_OO + NOISE I)^-1 y_O: what each observation adds to the mean around it
    weights_O = np.linalg.solve(_covariance(points_O2 / scales), values_O)
    score_Q = _kernel(points_Q2 / scales, points_O2 / scales) @ weights_O
    score_XY = score_Q.reshape(share_XY.shape).round(DIGITS)
    # noise lets the mean differ from an observation; the side that was observed stands all the same
    side_XY = np.where(observed_XY, share_XY >= 0.5, score_XY >= 0)
    return Belief(score_XY, side_XY)


def _likelihood(points_O2: Floats, values_O: Floats) -> float:
    """Log marginal likelihood of the values, up to a constant; points in units of length scales.

    With C = K + NOISE I, log N(y; 0, v C) = -n/2 log v - 1/2 log |C| - y^T C^-1 y / 2v + const
    (Rasmussen and Williams, eq. 2.30). It is greatest at v = y^T C^-1 y / n, where the last term is
    constant too (the concentrated likelihood of Jones, Schonlau and Welch 1998).
    """
    # C = L L^T, so y^T C^-1 y = |L^-1 y|^2 and 1/2 log |C| = sum of log L_ii: no inverse, and no
    # determinant that underflows (Rasmussen and Williams, algorithm 2.1)
    factor_OO = np.linalg.cholesky(_covariance(points_O2))
    white_O = np.linalg.solve(factor_OO, values_O)
    variance = max(float(white_O @ white_O) / len(values_O), LEAST_VARIANCE)
    log_factor = float(np.log(np.diag(factor_OO)).sum())
    return round(-0.5 * len(values_O) * math.log(variance) - log_factor, DIGITS)


def _covariance(points_O2: Floats) -> Floats:
    """K + NOISE I. The noise stands for that of seeds; without it K is nearly singular."""
    return _kernel(points_O2, points_O2) + NOISE * np.eye(len(points_O2))


def _kernel(a_Q2: Floats, b_O2: Floats) -> Floats:
    """Squared exponential of all pairs: 1 at distance 0, 0.61 at one length scale, 0.14 at two."""
    return np.exp(-0.5 * ((a_Q2[:, None] - b_O2) ** 2).sum(axis=-1))


# --- the acquisition -----------------------------------------------------------------------------


def next_point(
    share_XY: Floats, belief: Belief, running: Sequence[Point], tolerance: int
) -> Point | None:
    """The next point to observe; None: the search is at its end.

    First the coarse lattice. Then what resolves the boundary, the point that resolves most of it
    coming first. Then, where it runs, every point of the lattice of half the spacing, so that bends
    between are seen.

    Args:
        share_XY: observed shares, NaN where nothing is observed yet.
        belief: that of these shares.
        running: points that are asked and not observed, in the order of asking.
    """
    asked_XY = ~np.isnan(share_XY)
    is_open_XY = unresolved(share_XY, belief.side_XY, tolerance)
    for point in running:
        # no answer yet: taken to be on the side where it is believed to be (as the kriging believer
        # of Ginsbourger, Le Riche and Carraro 2010), so the points of a round are spread out
        asked_XY[point] = True
        around = _around(point, tolerance)
        is_open_XY[around] &= belief.side_XY[around] != belief.side_XY[point]
    for point in first_points(share_XY.shape, tolerance):
        if not asked_XY[point]:
            return point
    score_XY = np.abs(belief.score_XY)
    if is_open_XY.any():
        return _most_useful(is_open_XY, belief.side_XY, asked_XY, score_XY, tolerance)
    bends_XY = edge_ends(belief.side_XY) & _half_lattice(share_XY.shape, tolerance) & ~asked_XY
    return min(_points(bends_XY), key=lambda p: (score_XY[p], p), default=None)


def _most_useful(
    open_XY: Bools, side_XY: Bools, asked_XY: Bools, score_XY: Floats, tolerance: int
) -> Point:
    """The point that resolves the most ends if its side is as believed; of equals the unsurest.

    A greedy set cover (Chvatal 1979): each point covers the open ends of its own side within the
    tolerance. The unsurest has its mean nearest to 0, between the sides.
    """

    def use(point: Point) -> tuple[int, float]:
        around = _around(point, tolerance)
        resolved = open_XY[around] & (side_XY[around] == side_XY[point])
        return int(resolved.sum()), -float(score_XY[point])

    # an open end is itself not asked (or it would be resolved), so there always is a candidate
    return max(_points(_widened(open_XY, tolerance) & ~asked_XY), key=use)


# --- edges ---------------------------------------------------------------------------------------


def unresolved(share_XY: Floats, side_XY: Bools, tolerance: int) -> Bools:
    """Ends of edges that have no observed point of their own side within `tolerance` cells."""
    is_open_XY = np.zeros_like(side_XY)
    for side in (True, False):
        seen_XY = _widened(~np.isnan(share_XY) & (side_XY == side), tolerance)
        is_open_XY |= edge_ends(side_XY) & (side_XY == side) & ~seen_XY
    return is_open_XY


def edges(side_XY: Bools) -> Ints:
    """The boundary: pairs of neighboring points of different sides, (edges, ends, 2)."""
    along_x = np.argwhere(side_XY[1:] != side_XY[:-1])
    along_y = np.argwhere(side_XY[:, 1:] != side_XY[:, :-1])
    pairs = [np.stack([a, a + step], axis=1) for a, step in ((along_x, [1, 0]), (along_y, [0, 1]))]
    return np.concatenate(pairs)


def edge_ends(side_XY: Bools) -> Bools:
    """Points with a neighbor of the other side."""
    ends_XY = np.zeros_like(side_XY)
    ends_XY[tuple(edges(side_XY).reshape(-1, 2).T)] = True
    return ends_XY


def _lines(count: int, spacing: int) -> list[int]:
    """About every `spacing`-th of some lines, three at least, with the first and the last."""
    target = max(min(3, count), round((count - 1) / spacing) + 1)
    return sorted({round(v) for v in np.linspace(0, count - 1, target)})


def _half_lattice(shape: Sequence[int], tolerance: int) -> Bools:
    half_XY = np.zeros(shape, dtype=bool)
    half_XY[np.ix_(*(_lines(n, SPACING // 2 * tolerance) for n in shape))] = True
    return half_XY


def _widened(mask_XY: Bools, by: int) -> Bools:
    """Points that have one of the mask within `by` cells along both axes."""
    wide_XY = mask_XY.copy()
    for point in _points(mask_XY):
        wide_XY[_around(point, by)] = True
    return wide_XY


def _around(point: Point, by: int) -> tuple[slice, slice]:
    x, y = point
    return slice(max(x - by, 0), x + by + 1), slice(max(y - by, 0), y + by + 1)


def _points(mask_XY: Bools) -> Iterable[Point]:
    return ((int(x), int(y)) for x, y in np.argwhere(mask_XY))
