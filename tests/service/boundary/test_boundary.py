"""The search for a boundary on planes whose sides are known."""

import math

import numpy as np
import pytest

from service.boundary import lattice as boundary
from tests.benchmarks.boundary import SIZE, searched, synthetic, truths

PLANES = 8
"""Planes of each kind: enough that a bound which does not hold is seen."""
SMOOTH = ("straight", "curved", "hyperbola", "island")


@pytest.fixture(scope="module")
def searches():
    """(kind, what was seen, sides found, sides of the truth) of every plane."""
    found = []
    for seed in range(PLANES):
        for kind, share_XY in truths(seed):
            seen_XY, side_XY, _ = searched(share_XY)
            found.append((kind, seen_XY, side_XY, share_XY >= 0.5))
    return found


def test_fresh_seeds_give_other_planes():
    assert synthetic(1, 7) == synthetic(1, 7) != synthetic(1)


def test_no_search_takes_more_than_a_quarter_of_the_lattice(searches):
    taken = [(~np.isnan(seen_XY)).sum() for _, seen_XY, _, _ in searches]
    assert max(taken) <= SIZE**2 / 4
    assert np.median(taken) < SIZE**2 / 5


def test_every_edge_of_a_resolved_boundary_is_within_a_cell_of_a_true_one(searches):
    """What the module guarantees: of any truth, be it noisy or thin."""
    resolved = 0
    for kind, seen_XY, side_XY, truth_XY in searches:
        if not boundary.unresolved(seen_XY, side_XY, 1).any():
            assert boundary.distance(side_XY, truth_XY) <= 1, kind
            resolved += 1
    assert resolved >= 0.95 * len(searches)


def test_the_edges_of_smooth_truths_are_within_a_cell_of_found_ones(searches):
    """Not guaranteed, hence a share; docs/boundary.md says when it fails."""
    smooth = [case for case in searches if case[0] in SMOOTH]
    away = [boundary.distance(truth_XY, side_XY) for _, _, side_XY, truth_XY in smooth]
    assert np.mean(np.array(away) <= 1) >= 0.95
    assert max(away) <= 2


def test_two_boundaries_are_both_found(searches):
    """The band between them is three to seven cells wide."""
    bands = [case for case in searches if case[0] == "two boundaries"]
    away = [boundary.distance(truth_XY, side_XY) for _, _, side_XY, truth_XY in bands]
    assert np.mean(np.array(away) <= 1) >= 0.8
    assert max(away) <= 3


def test_what_is_observed_is_believed(searches):
    for _, seen_XY, side_XY, truth_XY in searches:
        observed_XY = ~np.isnan(seen_XY)
        assert (side_XY == truth_XY)[observed_XY].all()


@pytest.mark.parametrize("tolerance", [2, 3])
def test_a_wider_tolerance_takes_fewer_points_and_keeps_its_word(tolerance):
    for seed in range(2):
        for kind, share_XY in truths(seed, 24):
            near, _, _ = searched(share_XY, tolerance=1)
            seen_XY, side_XY, _ = searched(share_XY, tolerance=tolerance)
            assert (~np.isnan(seen_XY)).sum() < (~np.isnan(near)).sum(), kind
            if not boundary.unresolved(seen_XY, side_XY, tolerance).any():
                assert boundary.distance(side_XY, share_XY >= 0.5) <= tolerance


def test_a_proposal_is_new_distinct_and_no_larger_than_asked():
    share_XY = np.full((12, 9), np.nan)
    for point in boundary.first_points(share_XY.shape):
        share_XY[point] = float(point[0] + point[1] > 9)
    for count in (0, 1, 5, 50):
        points = boundary.propose(share_XY, count)
        assert len(points) == len(set(points)) <= count
        assert all(np.isnan(share_XY[point]) for point in points)
    assert boundary.propose(share_XY, 5) == boundary.propose(share_XY, 5)


def test_without_two_sides_there_is_nothing_to_ask():
    for value in (0.0, 1.0):
        share_XY = np.full((16, 16), np.nan)
        for point in boundary.first_points(share_XY.shape):
            share_XY[point] = value
        assert boundary.propose(share_XY, 8) == []


@pytest.mark.parametrize("shape", [(3, 3), (4, 16), (16, 5), (9, 9), (40, 7)])
def test_the_first_points_reach_the_corners_and_leave_no_wide_gap(shape):
    points = boundary.first_points(shape)
    assert {(0, 0), (0, shape[1] - 1), (shape[0] - 1, 0), (shape[0] - 1, shape[1] - 1)} <= {*points}
    for axis in (0, 1):
        lines = sorted({point[axis] for point in points})
        assert max(np.diff(lines)) <= boundary.SPACING + 1


def test_distances_are_measured_in_cells():
    low_XY, high_XY = (np.arange(10)[:, None] > at * np.ones(10) for at in (4, 6))
    assert boundary.distance(low_XY, high_XY) == 2
    assert boundary.distance(low_XY, low_XY) == 0
    nothing_XY = np.zeros((10, 10), bool)
    assert boundary.distance(nothing_XY, low_XY) == 0
    assert boundary.distance(low_XY, nothing_XY) == math.inf
