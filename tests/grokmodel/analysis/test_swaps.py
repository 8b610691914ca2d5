"""The later on the way down the pair is swapped, the more samples stay with the old sum."""

import pytest
import torch

from grokmodel.analysis.timesteps import FEW_PAIRS, LEVELS, _pairs_of_another_sum, some_pairs, swaps
from grokmodel.data.names import OPERATIONS
from grokmodel.data.pairs import UNDEFINED, result_table
from tests.grokmodel.analysis.handmade import decoders_of, follower_probe, probe_of, random_member
from tests.grokmodel.tiny import tiny

STEPS = LEVELS - 1


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
