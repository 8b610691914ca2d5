import numpy as np
import pytest
import torch

from grokmodel.analysis.heads import _from, _other_pairs, heads, margins
from grokmodel.data.pairs import split_pairs
from grokmodel.image.model import Layout
from grokmodel.probing.probe import shares
from tests.grokmodel.analysis.handmade import (
    lookup_config,
    pixel_bank,
    pixel_banks,
    probe_of,
    random,
    random_member,
    rule_follower,
)
from tests.grokmodel.tiny import banks_for, decoders_for, tiny

P = 7
DISTANCE = 2 * P / (P - 1)
"""Squared distance a pixel of two unit vectors in units of their variance."""


def heads_of(member, banks=None):
    probe = probe_of(member, banks=banks)
    (rows,) = heads(probe, decoders_for(probe.banks))
    return rows


def follower(**changes):
    """Looks up the answer; head 0 reads a, head 1 reads b; templates are equally far apart."""
    config = lookup_config(**changes)
    return rule_follower(config, pixel_bank(P, 8))


# --- margins --------------------------------------------------------------------------------------


def test_the_margin_is_the_distance_to_the_nearest_wrong_template_less_that_to_the_right_one():
    templates = torch.tensor([[[0.0, 0.0], [4.0, 0.0], [0.0, 10.0]]])
    x = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 9.0]]])
    c = torch.tensor([[0, 1, 2]])
    # squared distances a pixel: (1, 9, 101) / 2 of the first two images, (81, 97, 1) / 2
    for defined, expected in (
        ([True, False, False], (9 - 1) / 2),
        ([False, True, False], (1 - 9) / 2),
        ([False, False, True], (81 - 1) / 2),
        ([True, True, True], (8 - 8 + 80) / 6),
    ):
        assert margins(x, templates, c, torch.tensor([defined])) == pytest.approx([expected])


def test_each_member_has_the_margin_of_its_own_templates():
    templates = torch.stack([torch.eye(3), torch.eye(3).roll(1, 0)])
    c = torch.arange(3).expand(2, 3)
    found = margins(templates[:1].expand(2, -1, -1), templates, c, torch.ones(2, 3, dtype=bool))
    assert found == pytest.approx([2 / 3, -2 / 3])


# --- other pairs ----------------------------------------------------------------------------------


def test_every_pair_has_another_pair_and_is_the_other_of_one():
    probe = probe_of(*(random_member(tiny(seed=s)) for s in (1, 2)))
    other = _other_pairs(probe)
    every = torch.arange(P**2).expand(2, -1)
    assert torch.equal(other.sort(1).values, every)
    assert (other != every).all()
    assert not torch.equal(other[0], other[1])
    for i, member in enumerate(probe.members):
        assert torch.equal(_other_pairs(probe_of(member))[0], other[i])


def test_other_pairs_form_a_single_cycle():
    other = _other_pairs(probe_of(random_member(tiny())))[0].tolist()
    reached, at = set(), 0
    while at not in reached:
        reached.add(at)
        at = other[at]
    assert len(reached) == P**2


def test_values_are_taken_from_the_other_pair_of_the_same_member():
    part = random(2, 5, 3, 4)
    other = torch.tensor([[1, 2, 3, 4, 0], [4, 3, 1, 0, 2]])
    found = _from(part, other)
    for i in range(2):
        for q in range(5):
            assert torch.equal(found[i, q], part[i, other[i, q]])


# --- members whose heads are known ----------------------------------------------------------------


def test_a_rule_follower_has_the_margin_of_the_distance_of_its_templates():
    for row in heads_of(follower(), pixel_banks(follower())):
        assert row.margin == pytest.approx(DISTANCE, rel=1e-4)
        assert row.acc_strict == 1


def test_a_head_that_looks_at_another_pair_reads_that_pairs_operand():
    """Head 0 then gives a of the other pair: right only where that is the same a."""
    member = follower()
    probe = probe_of(member, banks=pixel_banks(member))
    split = split_pairs(member.config)
    strict = split.val[split.strict] @ (P, 1)
    pair, other = np.arange(P**2), _other_pairs(probe)[0].numpy()
    for row in heads_of(member, pixel_banks(member)):
        operand = pair // P if row.head == 0 else pair % P
        same = operand[other] == operand
        assert row.acc_strict_mediated == pytest.approx(same[strict].mean())
        # a wrong template in place of the right one turns the margin round
        expected = DISTANCE * (same.mean() - (1 - same.mean()))
        assert row.margin_mediated == pytest.approx(expected, rel=1e-4)


def test_without_a_head_that_it_needs_a_rule_follower_draws_the_mean_image():
    """All templates are equally far from that."""
    for row in heads_of(follower(), pixel_banks(follower())):
        assert row.margin_ablated == pytest.approx(0, abs=1e-5)
        assert row.acc_strict_ablated < 0.5


@pytest.mark.parametrize("head", [0, 1])
def test_a_head_that_is_the_same_for_all_pairs_has_no_effect(head):
    """Its values are all zero but for a bias; the other head keeps its say."""
    member = random_member(tiny(heads=2))
    mine = slice(head * 8, head * 8 + 8)
    views = Layout(member.config.shape).views(member.state.average)
    views["block0.value.w"][:, :, mine] = 0
    for row in heads_of(member):
        effects = (row.margin_mediated, row.margin_ablated)
        if row.head == head:
            assert effects == pytest.approx((row.margin, row.margin), rel=1e-5)
            assert row.acc_strict == row.acc_strict_mediated == row.acc_strict_ablated
        else:
            assert all(abs(effect - row.margin) > 1e-3 for effect in effects)


@pytest.mark.parametrize("head", [0, 1])
def test_a_head_that_is_not_projected_out_has_no_effect(head):
    member = random_member(tiny(heads=2))
    mine = slice(head * 8, head * 8 + 8)
    views = Layout(member.config.shape).views(member.state.average)
    views["block0.out.w"][:, mine] = 0
    for row in heads_of(member):
        unchanged = (row.margin_mediated, row.margin_ablated) == (row.margin, row.margin)
        assert unchanged == (row.head == head)


def test_the_heads_of_every_block_have_a_row():
    rows = heads_of(random_member(tiny(heads=2, depth=2, patch=4)))
    assert [(r.block, r.head) for r in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({r.margin for r in rows}) == 1


@pytest.mark.parametrize("op", ["add", "div"])
def test_the_accuracy_is_that_of_single_predictions(op):
    member = follower(op=op, train_fraction=0.7)
    banks = pixel_banks(member)
    probe = probe_of(member, banks=banks)
    with torch.no_grad():
        x = probe.sample(probe.noise(), 1, probe.operands())
    (expected,) = shares(probe.right(x, decoders_for(banks)), probe)
    assert {r.acc_strict for r in heads_of(member, banks)} == {expected.strict}


@pytest.mark.parametrize("N", [1, 2])
def test_rows_of_a_member_do_not_depend_on_its_pack_mates(N):
    configs = [lookup_config(N=N, seed=s) for s in (1, 2)]
    banks = banks_for(*configs)
    members = [rule_follower(configs[0], *banks.values()), random_member(configs[1])]
    together = heads(probe_of(*members, banks=banks), decoders_for(banks))
    for member, expected in zip(members, together):
        for mine, theirs in zip(heads_of(member, banks), expected, strict=True):
            assert vars(mine) == pytest.approx(vars(theirs), rel=1e-3, abs=1e-5)
