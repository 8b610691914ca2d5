"""How far an image must be noised for a sample to find the right one, whichever it was."""

import numpy as np
import pytest
import torch

from grokmodel.analysis.timesteps import (
    FEW_PAIRS,
    LEVELS,
    PAIRS,
    CriticalRow,
    _descend,
    _pairs_of_another_sum,
    critical,
    some_pairs,
    swaps,
    timesteps,
)
from grokmodel.data.names import OPERATIONS
from grokmodel.data.pairs import UNDEFINED, result_table
from grokmodel.probing.activations import collect
from grokmodel.probing.fourier import spectrum
from tests.grokmodel.analysis.handmade import (
    decoders_of,
    follower_probe,
    memorizer,
    memorizer_table,
    probe_of,
    random_member,
)
from tests.grokmodel.tiny import tiny, train_together

P = 7
STEPS = LEVELS - 1


def curve(*parts):
    """Levels of equal value one after the other: (value, count), ..."""
    return np.concatenate([np.full(count, value) for value, count in parts])


@pytest.mark.parametrize(
    ("rectify", "observed"),
    [
        (curve((0.0, 20), (0.004, 1), (0.3, 10), (0.9, 20)), 20),
        (curve((0.0, 10), (0.5, 5), (0.0, 1), (0.9, 35)), 15),  # a later relapse counts
        (curve((1 / PAIRS, 51)), None),  # one sample is enough
    ],
)
def test_the_observed_level_is_the_last_with_hardly_any_rectified(rectify, observed):
    entropy = np.tanh((np.arange(51) - 12) / 3)
    difference = None if observed is None else 12 - observed
    assert critical(rectify, entropy) == CriticalRow(51, observed, 12, difference)


def test_an_entropy_that_hardly_moves_predicts_nothing():
    entropy = 0.9 + 0.004 * np.tanh((np.arange(51) - 12) / 3)  # from 0.896 to 0.904
    found = critical(curve((0.0, 31), (1.0, 20)), entropy)
    assert found == CriticalRow(51, 30, None, None)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("middle", [10, 25, 40])
def test_the_predicted_level_is_where_the_entropy_rises_or_falls_most(middle, sign):
    entropy = 0.5 + 0.4 * sign * np.tanh((np.arange(51) - middle) / 3)
    found = critical(curve((0.0, 31), (1.0, 20)), entropy)
    assert found == CriticalRow(51, 30, middle, middle - 30)


# --- pairs and classes ----------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("count", [10, 200])
def test_some_pairs_have_results_and_repeat_only_where_there_are_too_few(op, count):
    members = [random_member(tiny(op=op, seed=s)) for s in (1, 2)]
    pairs = some_pairs(members, count)
    assert pairs.shape == (2, count, 2)
    assert (result_table(op, P)[pairs[..., 0], pairs[..., 1]] != UNDEFINED).all()
    assert not np.array_equal(*pairs)
    if count < 40:
        assert len(np.unique(pairs[0], axis=0)) == count
    for member, mine in zip(members, pairs):
        np.testing.assert_array_equal(some_pairs([member], count)[0], mine)


@pytest.mark.parametrize("op", OPERATIONS)
def test_another_class_is_never_the_right_one_and_every_other_comes_up(op):
    members = [random_member(tiny(op=op, seed=s)) for s in (1, 2)]
    grid = probe_of(*members)
    probe = grid.at(some_pairs(members, 200))
    other = probe.wrong_classes()
    assert (other != probe.c_MQ).all()
    shift = (other - probe.c_MQ) % P
    counts = torch.bincount(shift.flatten(), minlength=P)
    assert counts[0] == 0
    assert (counts[1:] - 400 / 6).abs().max() < 4 * (400 / 6) ** 0.5
    assert torch.equal(probe.at(some_pairs(members, 200)).wrong_classes(), other)


# --- the way down ---------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [1, 2])
def test_what_joins_at_a_level_is_sampled_from_that_level(N):
    members = [random_member(tiny(P=5, N=N, seed=s)) for s in (1, 2)]
    probe = probe_of(*members)
    operands = probe.operands()
    with torch.no_grad():
        ends = _descend(probe, probe.c_MQ)
        assert ends.shape == (2, LEVELS, 25, 64)
        assert torch.equal(ends[:, 0], probe.noised(0, 0))
        for level in (1, 2, 17, STEPS):
            start = probe.noised(level / STEPS, 0)
            expected = probe.sample(start, level, operands, t_start=level / STEPS)
            torch.testing.assert_close(ends[:, level], expected, rtol=1e-3, atol=1e-4)


# --- recover and rectify --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained_pair():
    """Two members that use the operands and the noisy image: their answers change by level."""
    how = {"width": 32, "ffn": 64, "lr": 3e-3, "weight_decay": 0.1, "steps": 100, "eval_every": 100}
    return probe_of(*train_together(*(tiny(seed=s, **how) for s in (1, 2))))


@pytest.fixture(scope="module")
def started(trained_pair):
    return trained_pair, timesteps(trained_pair, decoders_of(trained_pair))


def test_at_full_noise_it_does_not_matter_which_image_it_was(started):
    """With as many pairs: then both start from the same noise."""
    probe, (by_level, _) = started
    few = probe.at(some_pairs(probe.members, PAIRS))
    with torch.no_grad():
        x = few.sample(few.noise(), STEPS, few.operands())
    right = few.right(x, decoders_of(probe)).float().mean(1)
    assert [rows[-1].rectify_acc for rows in by_level] == pytest.approx(right.tolist())


def test_a_wrong_start_is_harder_the_nearer_it_is_to_an_image(started):
    _, (by_level, in_all) = started
    for rows, (row,) in zip(by_level, in_all):
        assert [(r.level, r.t) for r in rows] == [(k, k / 50) for k in range(51)]
        assert (rows[0].recover_acc, rows[0].rectify_acc) == (1, 0), "the image stays what it was"
        columns = (np.array([getattr(r, x) for r in rows]) for x in ("rectify_acc", "entropy"))
        assert row == critical(*columns)
        low, middle, high = (np.mean([r.rectify_acc for r in rows[i : i + 5]]) for i in (0, 20, 46))
        assert low + 0.1 < middle < high - 0.1
        recover = [r.recover_acc for r in rows]
        assert all(r.rectify_acc < r.recover_acc for r in rows[:25])
        assert recover[-1] == pytest.approx(rows[-1].rectify_acc, abs=0.15), "both are pure noise"


def test_the_entropy_is_that_of_the_neurons_before_their_nonlinearity(started):
    probe, (by_level, _) = started
    for level in (0, 50):
        for i, grids in enumerate(collect(probe, level / 50)):
            (pre,) = (g.values for g in grids if g.point.label == "block0.ffn.pre")
            assert by_level[i][level].entropy == pytest.approx(spectrum(pre).entropy, rel=1e-4)


@pytest.mark.parametrize("N", [1, 2])
def test_a_rule_follower_rectifies_from_every_level_but_the_image(N):
    probe = follower_probe(N=N)
    (rows,), ((row,),) = timesteps(probe, decoders_of(probe))
    assert [r.recover_acc for r in rows] == [1] * 51
    assert [r.rectify_acc for r in rows] == [0] + [1] * 50
    assert row.observed == 0


def test_a_memorizer_rectifies_the_share_of_pairs_that_it_knows():
    probe = follower_probe(memorizer, pixels=True)
    (rows,), _ = timesteps(probe, decoders_of(probe))
    knows = memorizer_table(probe.members[0].config) == result_table("add", P)
    for count, column in ((FEW_PAIRS, "recover_acc"), (PAIRS, "rectify_acc")):
        a, b = some_pairs(probe.members, count)[0].T
        expected = float(knows[a, b].mean())
        assert 0.4 < expected < 0.8
        assert [getattr(r, column) for r in rows[1:]] == pytest.approx([expected] * 50)


# --- operand swap ---------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_new_pair_of_a_swap_never_has_the_old_result(op):
    members = [random_member(tiny(op=op, P=5, seed=s)) for s in (1, 2)]
    probe = probe_of(*members).at(some_pairs(members, 300))
    pair, c = _pairs_of_another_sum(probe)
    assert (c != probe.c_MQ).all()
    assert torch.equal(c, torch.from_numpy(result_table(op, 5))[pair[..., 0], pair[..., 1]])
    assert (c != UNDEFINED).all()
    defined = (result_table(op, 5) != UNDEFINED).sum()
    assert len(pair.flatten(0, 1).unique(dim=0)) == defined, "all pairs come up"


@pytest.fixture(scope="module")
def swapped(trained_pair):
    return trained_pair, swaps(trained_pair, decoders_of(trained_pair))


@pytest.mark.parametrize("level", [0, 1, 20, 49, STEPS])
def test_swapped_on_the_way_the_old_pair_rules_above_and_the_new_below(swapped, level):
    """At level 0 nothing is swapped, at the last one all of the sampling is with the new pair."""
    grid, rows = swapped
    probe = grid.at(some_pairs(grid.members, FEW_PAIRS))
    pair, c = _pairs_of_another_sum(probe)
    old, new = probe.operands(0), probe.operands(1, pair)
    x = probe.noise()
    with torch.no_grad():
        for k in range(STEPS, 0, -1):
            operands = old if k > level else new
            x += (probe.predict(x, k / STEPS, operands) - x) / k
    found = probe.classes(x, decoders_of(grid))
    for share, classes in (("new_share", c), ("old_share", probe.c_MQ)):
        expected = (found == classes).float().mean(1).tolist()
        assert [getattr(mine[level], share) for mine in rows] == pytest.approx(expected)


def test_the_later_the_swap_the_more_samples_stay_with_the_old_sum(swapped):
    for rows in swapped[1]:
        early, middle, late = (rows[i] for i in (50, 20, 1))
        assert early.old_share + 0.1 < middle.old_share < late.old_share - 0.1
        assert early.new_share - 0.1 > middle.new_share > late.new_share + 0.1
        assert [r.level for r in rows] == list(range(51))
        for r in rows:
            assert r.old_share + r.new_share + r.neither_share == pytest.approx(1)


@pytest.mark.parametrize("N", [1, 2])
def test_a_rule_follower_follows_the_new_sum_until_the_last_step(N):
    probe = follower_probe(N=N, op="div")
    (rows,) = swaps(probe, decoders_of(probe))
    assert [r.old_share for r in rows] == [1] + [0] * 50
    assert [r.new_share for r in rows] == [0] + [1] * 50
