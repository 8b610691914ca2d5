"""The search for a boundary on planes whose sides are known."""

import numpy as np
import pytest

from service.boundary import lattice as boundary
from tests.benchmarks.boundary_truths import SIZE, distance, searched, truths

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


def test_no_search_takes_more_than_a_quarter_of_the_lattice(searches):
    taken = [(~np.isnan(seen_XY)).sum() for _, seen_XY, _, _ in searches]
    assert max(taken) <= SIZE**2 / 4
    assert np.median(taken) < SIZE**2 / 5


def test_every_edge_of_a_resolved_boundary_is_within_a_cell_of_a_true_one(searches):
    """What the module guarantees: of any truth, be it noisy or thin."""
    resolved = 0
    for kind, seen_XY, side_XY, truth_XY in searches:
        if not boundary.unresolved(seen_XY, side_XY, 1).any():
            assert distance(side_XY, truth_XY) <= 1, kind
            resolved += 1
    assert resolved >= 0.95 * len(searches)


def test_the_edges_of_smooth_truths_are_within_a_cell_of_found_ones(searches):
    """Not guaranteed, hence a share; docs/boundary.md says when it fails."""
    smooth = [case for case in searches if case[0] in SMOOTH]
    away = [distance(truth_XY, side_XY) for _, _, side_XY, truth_XY in smooth]
    assert np.mean(np.array(away) <= 1) >= 0.95
    assert max(away) <= 2


def test_two_boundaries_are_both_found(searches):
    """The band between them is three to seven cells wide."""
    bands = [case for case in searches if case[0] == "two boundaries"]
    away = [distance(truth_XY, side_XY) for _, _, side_XY, truth_XY in bands]
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
                assert distance(side_XY, share_XY >= 0.5) <= tolerance


def observed(shape, share):
    """A lattice whose first points are observed."""
    share_XY = np.full(shape, np.nan)
    for point in boundary.first_points(shape, 1):
        share_XY[point] = share(point)
    return share_XY


def test_the_points_of_a_round_are_new_and_distinct_and_come_to_an_end():
    share_XY = observed((12, 9), lambda point: float(point[0] + point[1] > 9))
    belief, running = boundary.believe(share_XY), []
    while (point := boundary.next_point(share_XY, belief, running, 1)) is not None:
        assert point not in running
        assert np.isnan(share_XY[point])
        assert boundary.next_point(share_XY, belief, running, 1) == point
        running.append(point)
    assert 5 < len(running) < share_XY.size / 2


def test_without_two_sides_there_is_nothing_to_ask():
    for value in (0.0, 1.0):
        share_XY = observed((16, 16), lambda point, value=value: value)
        assert boundary.next_point(share_XY, boundary.believe(share_XY), [], 1) is None


def test_what_is_equal_by_symmetry_is_equal_to_the_last_bit():
    """Or rounding, which is another on every processor, would choose between equals."""
    for seed in range(5):
        half_XY = np.random.default_rng(seed).integers(0, 2, (7, 13)).astype(float)
        whole_XY = np.concatenate([half_XY, half_XY[-2::-1]])
        share_XY = observed(whole_XY.shape, lambda point, its=whole_XY: its[point])
        score_XY = boundary.believe(share_XY).score_XY
        assert (score_XY == score_XY[::-1]).all()


def test_nothing_is_believed_where_nothing_or_only_ties_are_observed():
    nothing = boundary.believe(np.full((5, 4), np.nan))
    assert not nothing.score_XY.any()
    ties = boundary.believe(observed((9, 9), lambda point: 0.5))
    assert not ties.score_XY.any()
    assert ties.side_XY.all()  # half of the seeds are enough


def test_the_belief_is_the_posterior_mean_of_the_documented_model():
    """By the formula, at the length scales that the formula finds likeliest."""
    share_XY = observed((13, 9), lambda point: float(point[0] > 5 + 0.2 * point[1]))
    seen_O2 = np.argwhere(~np.isnan(share_XY))
    y_O = 2 * share_XY[tuple(seen_O2.T)] - 1

    def kernel(a, b, scales):
        return np.exp(-0.5 * (((a[:, None] - b[None]) / scales) ** 2).sum(-1))

    def log_density(scales):
        cov = kernel(seen_O2, seen_O2, scales) + boundary.NOISE * np.eye(len(y_O))
        cov *= y_O @ np.linalg.inv(cov) @ y_O / len(y_O)
        return -0.5 * (np.linalg.slogdet(cov)[1] + y_O @ np.linalg.inv(cov) @ y_O)

    grid = [np.array([a, b]) for a in boundary.SCALES for b in boundary.SCALES]
    scales = max(grid, key=log_density)
    cov = kernel(seen_O2, seen_O2, scales) + boundary.NOISE * np.eye(len(y_O))
    every_Q2 = np.argwhere(np.ones(share_XY.shape))
    mean_Q = kernel(every_Q2, seen_O2, scales) @ np.linalg.inv(cov) @ y_O
    assert np.allclose(boundary.believe(share_XY).score_XY.ravel(), mean_Q, atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 3), (4, 16), (16, 5), (9, 9), (40, 7)])
def test_the_first_points_reach_the_corners_and_leave_no_wide_gap(shape):
    points = boundary.first_points(shape, 1)
    assert {(0, 0), (0, shape[1] - 1), (shape[0] - 1, 0), (shape[0] - 1, shape[1] - 1)} <= {*points}
    for axis in (0, 1):
        lines = sorted({point[axis] for point in points})
        assert max(np.diff(lines)) <= boundary.SPACING + 1
