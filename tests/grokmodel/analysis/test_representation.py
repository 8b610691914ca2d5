import math

import numpy as np
import pytest
import torch

from grokmodel.analysis.representation import (
    CENTROID,
    LEVELS_T,
    PAIR,
    PICTURED,
    POINTS,
    fisher_ratio,
    is_constant,
    merger_ratio,
    participation_ratio,
    representation,
)
from grokmodel.data.pairs import UNDEFINED, result_table
from grokmodel.probing.activations import collect
from grokmodel.probing.hooks import NO_HEAD, hook_points
from tests.grokmodel.analysis.handmade import (
    follower_probe,
    lookup_config,
    lookup_member,
    pixel_bank,
    pixel_banks,
    probe_of,
    random_member,
    rule_table,
)
from tests.grokmodel.tiny import tiny

P = 7


def cloud(sizes, d=5, spread=1.0, seed=0):
    """Points (Q, d) of classes with random centers, and the class of each, in random order."""
    rng = np.random.default_rng(seed)
    c = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centers = 2 * rng.standard_normal((len(sizes), d))
    return centers[c] + spread * rng.standard_normal((len(c), d)), c


def rows_of(probe):
    """{(hook point, head, t): row} and the rows of the pictures."""
    (scalars,), (points,) = representation(probe, [True])
    return {(r.hook, r.head, r.t): r for r in scalars}, points


# --- ratios ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "d", "scale"),
    [([10, 10, 10], 5, 1), ([2, 9, 30], 5, 1e-6), ([1, 1, 5], 5, 1e6), ([2, 9, 30], 60, 1)],
)
def test_the_ratios_are_those_of_all_distances_and_variances(sizes, d, scale):
    x, c = cloud(sizes, d)
    x = scale * (x + 3)
    square = np.square(x[:, None] - x).sum(-1)
    same = c[:, None] == c
    others = ~np.eye(len(c), dtype=bool)
    merger = np.sqrt(square[same & others].mean() / square[~same].mean())
    assert merger_ratio(x, c) == pytest.approx(merger)
    means = {k: x[c == k].mean(0) for k in set(c)}
    within = sum(np.square(p - means[k]).sum() for p, k in zip(x, c))
    between = sum(np.square(means[k] - x.mean(0)).sum() for k in c)
    assert fisher_ratio(x, c) == pytest.approx(between / within)
    variance = np.linalg.eigvalsh(np.cov(x.T))
    assert participation_ratio(x) == pytest.approx(variance.sum() ** 2 / np.square(variance).sum())


STATES, CLASSES = np.random.default_rng(0).standard_normal((2000, 20)), np.arange(2000) % 10


@pytest.mark.parametrize(
    ("x", "c", "merger", "fisher"),
    [
        # without regard to the class: 9 of 1999 degrees of freedom lie between the classes
        (STATES, CLASSES, 1.0, 9 / 1990),
        # merged
        (*cloud([5, 5, 5], spread=0.0), 0.0, math.inf),
        # alike between classes: distance 2 between any two that are not the same unit vector; 1 in
        # 4 is, between classes
        (np.tile(np.eye(4), (3, 1)), np.repeat([0, 1, 2], 4), (8 / 6) ** 0.5, 0.0),
        # a single class, classes of one
        (STATES[:6], np.zeros(6, int), math.nan, None),
        (STATES[:6], np.arange(6), math.nan, None),
    ],
)
def test_known_states_have_known_ratios(x, c, merger, fisher):
    assert merger_ratio(x, c) == pytest.approx(merger, rel=0.01, abs=1e-7, nan_ok=True)
    if fisher is not None:
        assert fisher_ratio(x, c) == pytest.approx(fisher, rel=0.3, abs=1e-12)


def test_a_constant_hook_point_has_no_ratios_and_rounding_is_no_variance():
    """Rounding of float32."""
    c, noise = np.arange(12) % 3, np.random.default_rng(1).standard_normal((12, 20))
    for x in (np.zeros(20), np.full(20, -1e6), np.random.default_rng(0).standard_normal(20)):
        rounded = (x * (1 + 1e-7 * noise)).astype(np.float32).astype(np.float64)
        assert is_constant(rounded)
        assert math.isnan(fisher_ratio(rounded, c))
        assert math.isnan(merger_ratio(rounded, c))
        assert math.isnan(participation_ratio(rounded))
        assert not x.any() or not is_constant(x * (1 + 1e-4 * noise))


# --- hook points ----------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [
    {"op": "add"}, {"op": "div"}, {"heads": 2, "variant": "sandwich", "patch": 4},
])  # fmt: skip
def test_every_hook_point_has_the_ratios_of_the_defined_pairs_at_both_ends_of_time(changes):
    config = tiny(**changes)
    probe = probe_of(random_member(config))
    rows, points = rows_of(probe)
    assert set(rows) == {(s.label, s.head, t) for s in hook_points(config.shape) for t in LEVELS_T}
    c = result_table(config.op, P).reshape(-1)
    defined = c != UNDEFINED
    for grid in next(collect(probe, 0.0)):
        x = grid.values.reshape(P**2, -1)[defined].astype(np.float64)
        row = rows[grid.point.label, grid.point.head, 0.0]
        assert row.fisher == pytest.approx(fisher_ratio(x, c[defined]))
        assert row.merger == pytest.approx(merger_ratio(x, c[defined]))
        assert row.participation == pytest.approx(participation_ratio(x))
    pairs = [r.a * P + r.b for r in picture(points, "output") if r.kind == PAIR]
    assert sorted(pairs) == np.flatnonzero(defined).tolist()


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_in_a_rule_follower_pairs_of_a_result_merge_behind_the_neurons(op):
    rows, points = rows_of(follower_probe(pixels=True, op=op))
    output = rows["output", NO_HEAD, 1.0]
    assert output.merger == pytest.approx(0, abs=1e-4)
    assert output.fisher > 1e6
    if op in ("add", "sub"):
        assert output.participation == pytest.approx(6, rel=1e-3), "7 unit vectors"
        assert picture(points, "output")[0].explained == pytest.approx(3 / 6, rel=1e-3)
        assert picture(points, "block0.ffn.post")[0].explained == pytest.approx(3 / 48, rel=1e-3)
        # every pair has a neuron of its own: all pairs are equally far from each other
        neurons = rows["block0.ffn.post", NO_HEAD, 1.0]
        assert neurons.merger == pytest.approx(1, rel=1e-4)
        assert neurons.participation == pytest.approx(48, rel=1e-3)
        # 6 dimensions of 48 separate classes
        assert neurons.fisher == pytest.approx(6 / 42, rel=1e-3)


def test_a_site_that_sees_no_operand_is_constant():
    """Before the attention a c-token knows the noise alone, which the input gate shuts out."""
    rows, _ = rows_of(probe_of(random_member(tiny(input_gate=True, variant="sandwich"))))
    row = rows["block0.query", 0, 1.0]
    assert all(map(math.isnan, (row.fisher, row.merger, row.participation)))
    assert not math.isnan(rows["sandwich.ffn.post[a]", NO_HEAD, 1.0].merger)
    assert not math.isnan(rows["block0.query", 0, 0.0].merger)


# --- pictures -------------------------------------------------------------------------------------


def picture(points, point, t=1.0, head=NO_HEAD):
    return [r for r in points if (r.hook, r.head, r.t) == (point, head, t)]


def xyz(row):
    return np.array([row.pc1, row.pc2, row.pc3])


def test_a_plane_is_explained_in_full_and_every_pair_lies_on_the_centroid_of_its_result():
    """Symbols are corners of a heptagon, whose distances are kept."""
    config = lookup_config()
    angle = 2 * np.pi * np.arange(P) / P
    drawn = np.zeros((P, 64))
    drawn[:, :2] = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    member = lookup_member(config, pixel_bank(P, 8), rule_table(config), torch.from_numpy(drawn))
    _, points = rows_of(probe_of(member, banks=pixel_banks(member)))
    output = picture(points, "output")
    np.testing.assert_allclose([r.explained for r in output], 1)
    centroids = {r.c: xyz(r) for r in output if r.kind == CENTROID}
    assert sorted(centroids) == list(range(P))
    for i, j in np.ndindex(P, P):
        expected = np.linalg.norm(drawn[i] - drawn[j])
        assert np.linalg.norm(centroids[i] - centroids[j]) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose([c[2] for c in centroids.values()], 0, atol=1e-4)
    for r in output:
        if r.kind == PAIR:
            assert r.c == (r.a + r.b) % P
            np.testing.assert_allclose(xyz(r), centroids[r.c], atol=1e-4)


def test_only_some_kinds_of_sites_of_the_members_asked_for_are_pictured():
    config = tiny(P=5, heads=2)
    members = [random_member(config), random_member(tiny(P=5, heads=2, seed=2))]
    _, (first, second) = representation(probe_of(*members), [False, True])
    assert first == []
    expected = {(s.label, s.head, t) for s in hook_points(config.shape) for t in LEVELS_T
                if s.kind in PICTURED}  # fmt: skip
    assert {(r.hook, r.head, r.t) for r in second} == expected


def test_a_picture_of_many_pairs_shows_some_and_the_same_in_all_pictures():
    _, points = rows_of(probe_of(random_member(tiny(P=13))))
    shown = {}
    for r in points:
        if r.kind == PAIR:
            shown.setdefault((r.hook, r.head, r.t), []).append((r.a, r.b))
    assert {len(pairs) for pairs in shown.values()} == {POINTS}
    assert len({tuple(pairs) for pairs in shown.values()}) == 1
    assert len(set(shown["output", NO_HEAD, 1.0])) == POINTS


def test_components_are_centered_uncorrelated_and_in_the_order_of_their_variance():
    _, points = rows_of(probe_of(random_member(tiny())))
    for point in ("embedding[a]", "block0.attention", "output"):
        x = np.array([xyz(r) for r in picture(points, point) if r.kind == PAIR])
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
        covariance = np.cov(x.T)
        variance = np.diag(covariance)
        assert (np.diff(variance) <= 0).all()
        np.testing.assert_allclose(covariance, np.diag(variance), atol=1e-5 * variance[0])
