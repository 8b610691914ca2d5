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
    lookup_config,
    lookup_member,
    pixel_bank,
    pixel_banks,
    probe_of,
    random_member,
    rule_follower,
    rule_table,
)
from tests.grokmodel.tiny import tiny

P = 7


def cloud(sizes, d=5, spread=1.0, seed=0):
    """Points (Q, d) of classes with random centres, and the class of each, in random order."""
    rng = np.random.default_rng(seed)
    c = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = 2 * rng.standard_normal((len(sizes), d))
    return centres[c] + spread * rng.standard_normal((len(c), d)), c


def rows_of(member, banks=None, pictured=False):
    """{(hook point, head, t): row} and the rows of the pictures."""
    (scalars,), (points,) = representation(probe_of(member, banks=banks), [pictured])
    return {(r.hook, r.head, r.t): r for r in scalars}, points


# --- ratios ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[10, 10, 10], [2, 9, 30], [1, 1, 5]])
def test_the_merger_ratio_is_that_of_all_distances(sizes):
    x, c = cloud(sizes)
    square = np.square(x[:, None] - x).sum(-1)
    same = c[:, None] == c
    others = ~np.eye(len(c), dtype=bool)
    expected = np.sqrt(square[same & others].mean() / square[~same].mean())
    assert merger_ratio(x, c) == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [[10, 10, 10], [2, 9, 30], [1, 1, 5]])
def test_the_fisher_ratio_is_that_of_the_variances(sizes):
    x, c = cloud(sizes)
    means = {k: x[c == k].mean(0) for k in set(c)}
    within = sum(np.square(p - means[k]).sum() for p, k in zip(x, c))
    between = sum(np.square(means[k] - x.mean(0)).sum() for k in c)
    assert fisher_ratio(x, c) == pytest.approx(between / within)


def test_states_without_regard_to_the_class_have_a_merger_ratio_of_one():
    x, c = np.random.default_rng(0).standard_normal((2000, 20)), np.arange(2000) % 10
    assert merger_ratio(x, c) == pytest.approx(1, abs=0.01)
    # 9 of 1999 degrees of freedom lie between the classes
    assert fisher_ratio(x, c) == pytest.approx(9 / 1990, rel=0.3)


def test_merged_states_have_a_merger_ratio_of_zero_and_no_end_of_the_fisher_ratio():
    x, c = cloud([5, 5, 5], spread=0.0)
    assert merger_ratio(x, c) == pytest.approx(0, abs=1e-7)
    assert fisher_ratio(x, c) == math.inf


def test_states_that_are_alike_between_classes_have_no_fisher_ratio_to_speak_of():
    x = np.concatenate([np.eye(4)] * 3)
    c = np.repeat([0, 1, 2], 4)
    assert fisher_ratio(x, c) == pytest.approx(0, abs=1e-12)
    # distance 2 between any two that are not the same unit vector; 1 in 4 is, between classes
    assert merger_ratio(x, c) == pytest.approx(np.sqrt(2 / (2 * 3 / 4)))


@pytest.mark.parametrize("d", [3, 400])
def test_the_participation_ratio_counts_dimensions_of_equal_variance(d):
    for k in (1, 2, 3):
        x = np.zeros((256, d))
        x[:, :k] = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(k)) & 1)
        assert participation_ratio(x + 7) == pytest.approx(k)


def test_the_participation_ratio_is_that_of_the_variances_along_the_axes():
    x, _ = cloud([20, 30], d=6)
    variance = np.linalg.eigvalsh(np.cov(x.T))
    assert participation_ratio(x) == pytest.approx(variance.sum() ** 2 / np.square(variance).sum())


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_ratios_know_neither_scale_nor_place_nor_rotation(scale):
    x, c = cloud([4, 5, 6])
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))
    moved = scale * (x @ turn + 3)
    assert fisher_ratio(moved, c) == pytest.approx(fisher_ratio(x, c))
    assert merger_ratio(moved, c) == pytest.approx(merger_ratio(x, c))
    assert participation_ratio(moved) == pytest.approx(participation_ratio(x))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_constant_site_has_no_ratios(value):
    x = np.tile(value + np.array([0.0, 1.0, 1 / 3]), (12, 1))
    assert is_constant(x)
    c = np.arange(12) % 3
    assert all(math.isnan(f(x, c)) for f in (fisher_ratio, merger_ratio))
    assert math.isnan(participation_ratio(x))


def test_rounding_of_float32_is_no_variance():
    x = np.random.default_rng(0).standard_normal(20).astype(np.float32)
    rounded = x * (1 + 1e-7 * np.random.default_rng(1).standard_normal((50, 20))).astype(np.float32)
    assert is_constant(rounded.astype(np.float64))
    assert not is_constant(x * (1 + 1e-4 * np.random.default_rng(1).standard_normal((50, 20))))


def test_a_single_class_or_classes_of_one_have_no_merger_ratio():
    x, _ = cloud([6])
    assert math.isnan(merger_ratio(x, np.zeros(6, int)))
    assert math.isnan(merger_ratio(x, np.arange(6)))


# --- hook points ----------------------------------------------------------------------------------


def test_every_site_has_a_row_at_both_ends_of_time():
    config = tiny(heads=2, variant="sandwich", patch=4, P=5)
    rows, _ = rows_of(random_member(config))
    assert set(rows) == {(s.label, s.head, t) for s in hook_points(config.shape) for t in LEVELS_T}


@pytest.mark.parametrize("op", ["add", "div"])
def test_the_ratios_are_those_of_the_defined_pairs(op):
    probe = probe_of(random_member(tiny(op=op)))
    rows, _ = rows_of(probe.members[0])
    c = result_table(op, P).reshape(-1)
    for grid in next(collect(probe, 0.0)):
        x = grid.values.reshape(P**2, -1)[c != UNDEFINED].astype(np.float64)
        row = rows[grid.point.label, grid.point.head, 0.0]
        assert row.fisher == pytest.approx(fisher_ratio(x, c[c != UNDEFINED]))
        assert row.merger == pytest.approx(merger_ratio(x, c[c != UNDEFINED]))
        assert row.participation == pytest.approx(participation_ratio(x))


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_in_a_rule_follower_pairs_of_a_result_merge_behind_the_neurons(op):
    member = rule_follower(lookup_config(op=op), pixel_bank(P, 8))
    rows, _ = rows_of(member, pixel_banks(member))
    output = rows["output", NO_HEAD, 1.0]
    assert output.merger == pytest.approx(0, abs=1e-4)
    assert output.fisher > 1e6
    if op in ("add", "sub"):
        assert output.participation == pytest.approx(6, rel=1e-3), "7 unit vectors"
        # every pair has a neuron of its own: all pairs are equally far from each other
        neurons = rows["block0.ffn.post", NO_HEAD, 1.0]
        assert neurons.merger == pytest.approx(1, rel=1e-4)
        assert neurons.participation == pytest.approx(48, rel=1e-3)
        # 6 dimensions of 48 separate classes
        assert neurons.fisher == pytest.approx(6 / 42, rel=1e-3)


def test_a_site_that_sees_no_operand_is_constant():
    """Before the attention a c-token knows the noise alone, which the input gate shuts out."""
    rows, _ = rows_of(random_member(tiny(input_gate=True, variant="sandwich")))
    row = rows["block0.query", 0, 1.0]
    assert all(map(math.isnan, (row.fisher, row.merger, row.participation)))
    assert not math.isnan(rows["sandwich.ffn.post[a]", NO_HEAD, 1.0].merger)
    assert not math.isnan(rows["block0.query", 0, 0.0].merger)


@pytest.mark.parametrize("N", [1, 2])
def test_rows_of_a_member_do_not_depend_on_its_pack_mates(N):
    members = [random_member(tiny(P=5, N=N, seed=s)) for s in (1, 2)]
    scalars, _ = representation(probe_of(*members), [False, False])
    for member, expected in zip(members, scalars):
        (alone,), _ = representation(probe_of(member), [False])
        for mine, theirs in zip(alone, expected, strict=True):
            assert (mine.hook, mine.head, mine.t) == (theirs.hook, theirs.head, theirs.t)
            found, wanted = ((r.fisher, r.merger, r.participation) for r in (mine, theirs))
            # float32 activations
            assert found == pytest.approx(wanted, rel=1e-3, nan_ok=True)


# --- pictures -------------------------------------------------------------------------------------


def planted_plane():
    """A member whose output lies in a plane: its symbols are corners of a heptagon."""
    config = lookup_config()
    angle = 2 * np.pi * np.arange(P) / P
    drawn = np.zeros((P, 64))
    drawn[:, :2] = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    member = lookup_member(config, pixel_bank(P, 8), rule_table(config), torch.from_numpy(drawn))
    return member, drawn


def picture(points, point, t=1.0, head=NO_HEAD):
    return [r for r in points if (r.hook, r.head, r.t) == (point, head, t)]


def xyz(row):
    return np.array([row.pc1, row.pc2, row.pc3])


def test_a_plane_is_explained_in_full_and_keeps_its_distances():
    member, drawn = planted_plane()
    _, points = rows_of(member, pixel_banks(member), pictured=True)
    output = picture(points, "output")
    assert output[0].explained == pytest.approx(1)
    assert len({r.explained for r in output}) == 1
    centroids = {r.c: xyz(r) for r in output if r.kind == CENTROID}
    assert sorted(centroids) == list(range(P))
    for i in range(P):
        for j in range(P):
            expected = np.linalg.norm(drawn[i] - drawn[j])
            assert np.linalg.norm(centroids[i] - centroids[j]) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose([c[2] for c in centroids.values()], 0, atol=1e-4)


def test_every_pair_lies_on_the_centroid_of_its_result_where_states_have_merged():
    member, _ = planted_plane()
    _, points = rows_of(member, pixel_banks(member), pictured=True)
    output = picture(points, "output")
    centroids = {r.c: xyz(r) for r in output if r.kind == CENTROID}
    pairs = [r for r in output if r.kind == PAIR]
    assert sorted((r.a, r.b) for r in pairs) == [(a, b) for a in range(P) for b in range(P)]
    for r in pairs:
        assert r.c == (r.a + r.b) % P
        np.testing.assert_allclose(xyz(r), centroids[r.c], atol=1e-4)


def test_in_many_dimensions_three_explain_their_share():
    member = rule_follower(lookup_config(), pixel_bank(P, 8))
    _, points = rows_of(member, pixel_banks(member), pictured=True)
    assert picture(points, "output")[0].explained == pytest.approx(3 / 6, rel=1e-3)
    assert picture(points, "block0.ffn.post")[0].explained == pytest.approx(3 / 48, rel=1e-3)


def test_only_some_kinds_of_sites_of_the_members_asked_for_are_pictured():
    config = tiny(P=5, heads=2)
    members = [random_member(config), random_member(tiny(P=5, heads=2, seed=2))]
    _, (first, second) = representation(probe_of(*members), [False, True])
    assert first == []
    expected = {(s.label, s.head, t) for s in hook_points(config.shape) for t in LEVELS_T
                if s.kind in PICTURED}  # fmt: skip
    assert {(r.hook, r.head, r.t) for r in second} == expected


def test_a_picture_of_many_pairs_shows_some_and_the_same_in_all_pictures():
    _, points = rows_of(random_member(tiny(P=13)), pictured=True)
    shown = {}
    for r in points:
        if r.kind == PAIR:
            shown.setdefault((r.hook, r.head, r.t), []).append((r.a, r.b))
    assert {len(pairs) for pairs in shown.values()} == {POINTS}
    assert len({tuple(pairs) for pairs in shown.values()}) == 1
    assert len(set(shown["output", NO_HEAD, 1.0])) == POINTS


def test_a_pair_without_result_is_in_no_picture():
    _, points = rows_of(random_member(tiny(op="div")), pictured=True)
    pairs = [(r.a, r.b) for r in picture(points, "output") if r.kind == PAIR]
    assert sorted(pairs) == [(a, b) for a in range(P) for b in range(1, P)]


def test_components_are_centred_uncorrelated_and_in_the_order_of_their_variance():
    _, points = rows_of(random_member(tiny()), pictured=True)
    for point in ("embedding[a]", "block0.attention", "output"):
        x = np.array([xyz(r) for r in picture(points, point) if r.kind == PAIR])
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
        covariance = np.cov(x.T)
        variance = np.diag(covariance)
        assert (np.diff(variance) <= 0).all()
        np.testing.assert_allclose(covariance, np.diag(variance), atol=1e-5 * variance[0])
