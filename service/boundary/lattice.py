"""Where two sides of a plane meet, from few of its points: what to ask next, and when to stop.

A lattice of points (X, Y) has two sides. At some points a share in [0, 1] is observed, and the side
there is `share >= 0.5`; a Gaussian process says what the others are likely to be. An edge joins two
neighbouring points of different sides; all edges together are the boundary.

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
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]
"""Place of a point in the lattice, along x and along y."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int_]

KNOWN, OPEN, NONE_SEEN = "known", "not known yet", "none seen"
"""What is known of a boundary; `none seen`: all that was observed is on one side."""
SPACING = 4
"""Cells between the points of the first round, for a tolerance of one cell."""
SCALES = (2.0, 3.0, 4.5, 7.0, 12.0)
"""Length scales in cells that are tried along each axis; the likeliest pair is taken."""
NOISE = 0.03
"""Variance of an observation about the smooth field, as a share of the field's."""


@dataclass(frozen=True)
class Belief:
    """What the observed points say of all."""

    score_XY: Floats
    """Mean of the field: 1 on one side, -1 on the other, 0 between them."""
    side_XY: Bools
    """Side of every point: as observed, otherwise the sign of the score."""


def first_points(shape: tuple[int, int], tolerance: int = 1, spacing: int = SPACING) -> list[Point]:
    """The coarse lattice that a search begins with: corners, sides and every `spacing` cells."""
    xs, ys = (_lines(n, spacing * tolerance) for n in shape)
    return list(itertools.product(xs, ys))


def propose(share_XY: Floats, count: int, tolerance: int = 1) -> list[Point]:
    """The next points to observe, at most `count`; none: the search is at its end.

    First what resolves the boundary, the points that resolve most of it coming first; then, where
    it runs, every point of the lattice of half the spacing, so that bends between are seen.

    Args:
        share_XY: observed shares, NaN where nothing is observed yet.
    """
    belief = believe(share_XY)
    is_open_XY = unresolved(share_XY, belief.side_XY, tolerance)
    score_XY, asked_XY = np.abs(belief.score_XY), ~np.isnan(share_XY)
    found: list[Point] = []
    while is_open_XY.any() and len(found) < count:
        point = _most_useful(is_open_XY, belief.side_XY, asked_XY, score_XY, tolerance)
        found.append(point)
        asked_XY[point] = True
        around = _around(point, tolerance)
        is_open_XY[around] &= belief.side_XY[around] != belief.side_XY[point]
    bends_XY = edge_ends(belief.side_XY) & _half_lattice(share_XY.shape, tolerance) & ~asked_XY
    bends = sorted(map(_point, np.argwhere(bends_XY)), key=lambda p: (score_XY[p], p))
    return found + bends[: count - len(found)]


def unresolved(share_XY: Floats, side_XY: Bools, tolerance: int) -> Bools:
    """Ends of edges that have no observed point of their own side within `tolerance` cells."""
    is_open_XY = np.zeros_like(side_XY)
    for side in (True, False):
        seen_XY = _widened(~np.isnan(share_XY) & (side_XY == side), tolerance)
        is_open_XY |= edge_ends(side_XY) & (side_XY == side) & ~seen_XY
    return is_open_XY


def believe(share_XY: Floats) -> Belief:
    """Regression by a Gaussian process with one length scale an axis, the likeliest of some."""
    observed_XY = ~np.isnan(share_XY)
    points_O2 = np.argwhere(observed_XY).astype(float)
    points_Q2 = np.indices(share_XY.shape).reshape(2, -1).T.astype(float)
    values_O = 2 * share_XY[observed_XY] - 1
    scales = max(
        itertools.product(SCALES, SCALES), key=lambda s: _likelihood(points_O2 / s, values_O)
    )
    weights_O = np.linalg.solve(_covariance(points_O2 / scales), values_O)
    score_Q = _kernel(points_Q2 / scales, points_O2 / scales) @ weights_O
    score_XY = score_Q.reshape(share_XY.shape)
    side_XY = np.where(observed_XY, share_XY >= 0.5, score_XY >= 0)
    return Belief(score_XY, side_XY)


def edges(side_XY: Bools) -> Ints:
    """The boundary: pairs of neighbouring points of different sides, (edges, ends, 2)."""
    along_x = np.argwhere(side_XY[1:] != side_XY[:-1])
    along_y = np.argwhere(side_XY[:, 1:] != side_XY[:, :-1])
    pairs = [np.stack([a, a + step], axis=1) for a, step in ((along_x, [1, 0]), (along_y, [0, 1]))]
    return np.concatenate(pairs)


def edge_ends(side_XY: Bools) -> Bools:
    """Points with a neighbour of the other side."""
    ends_XY = np.zeros_like(side_XY)
    for x, y in edges(side_XY).reshape(-1, 2):
        ends_XY[x, y] = True
    return ends_XY


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


def _most_useful(
    open_XY: Bools, side_XY: Bools, asked_XY: Bools, score_XY: Floats, tolerance: int
) -> Point:
    """The point that resolves the most ends if its side is as believed; of equals the unsurest."""
    candidates = map(_point, np.argwhere(_widened(open_XY, tolerance) & ~asked_XY))

    def use(point: Point) -> tuple[int, float]:
        around = _around(point, tolerance)
        resolved = open_XY[around] & (side_XY[around] == side_XY[point])
        return int(resolved.sum()), -float(score_XY[point])

    return max(candidates, key=use)


def _likelihood(points_O2: Floats, values_O: Floats) -> float:
    """Log likelihood of the values, up to a constant, with the variance that suits them best."""
    factor_OO = np.linalg.cholesky(_covariance(points_O2))
    white_O = np.linalg.solve(factor_OO, values_O)
    variance = max(float(white_O @ white_O) / len(values_O), 1e-3)
    return -0.5 * len(values_O) * math.log(variance) - float(np.log(np.diag(factor_OO)).sum())


def _covariance(points_O2: Floats) -> Floats:
    return _kernel(points_O2, points_O2) + NOISE * np.eye(len(points_O2))


def _kernel(a_Q2: Floats, b_O2: Floats) -> Floats:
    return np.exp(-0.5 * ((a_Q2[:, None] - b_O2) ** 2).sum(axis=-1))


def _lines(count: int, spacing: int) -> list[int]:
    """About every `spacing`-th of some lines, three at least, with the first and the last."""
    wanted = max(min(3, count), round((count - 1) / spacing) + 1)
    return sorted({round(v) for v in np.linspace(0, count - 1, wanted)})


def _half_lattice(shape: Sequence[int], tolerance: int) -> Bools:
    half_XY = np.zeros(shape, dtype=bool)
    half_XY[np.ix_(*(_lines(n, 2 * tolerance) for n in shape))] = True
    return half_XY


def _widened(mask_XY: Bools, by: int) -> Bools:
    """Points that have one of the mask within `by` cells along both axes."""
    wide_XY = mask_XY.copy()
    for x, y in np.argwhere(mask_XY):
        wide_XY[_around((x, y), by)] = True
    return wide_XY


def _around(point: Point, by: int) -> tuple[slice, slice]:
    x, y = point
    return slice(max(x - by, 0), x + by + 1), slice(max(y - by, 0), y + by + 1)


def _point(place: Ints) -> Point:
    return int(place[0]), int(place[1])
