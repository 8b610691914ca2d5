import numpy as np
import pytest
import torch

from grokmodel.analysis.heads import heads, margins, other_pairs
from grokmodel.image.model import Layout
from tests.grokmodel.analysis.handmade import (
    decoders_of,
    follower_probe,
    pairs_of,
    probe_of,
    random_member,
    sampled,
)
from tests.grokmodel.tiny import tiny

P = 7
DISTANCE = 2 * P / (P - 1)
"""Squared distance per pixel of two unit vectors in units of their variance."""


# --- margins --------------------------------------------------------------------------------------


def heads_of(probe):
    (rows,) = heads(probe, decoders_of(probe))
    return rows


@pytest.mark.parametrize(
    ("defined", "expected"),
    [
        ([True, False, False], (9 - 1) / 2),
        ([False, True, False], (1 - 9) / 2),
        ([False, False, True], (81 - 1) / 2),
        ([True, True, True], (8 - 8 + 80) / 6),
    ],
)
def test_the_margin_is_the_distance_to_the_nearest_wrong_template_less_that_to_the_right_one(
    defined, expected
):
    """Squared distances per pixel: (1, 9, 101) / 2 of the first two images, (81, 97, 1) / 2."""
    templates = torch.tensor([[[0.0, 0.0], [4.0, 0.0], [0.0, 10.0]]])
    x = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 9.0]]])
    c = torch.tensor([[0, 1, 2]])
    assert margins(x, templates, c, torch.tensor([defined])) == pytest.approx([expected])


# --- other pairs ----------------------------------------------------------------------------------


def test_other_pairs_form_a_single_cycle_of_each_member_of_its_own():
    probe = probe_of(*(random_member(tiny(seed=s)) for s in (1, 2)))
    others = other_pairs(probe)
    assert not torch.equal(*others)
    for other in others.tolist():
        reached, at = set(), 0
        while at not in reached:
            reached.add(at)
            at = other[at]
        assert len(reached) == P**2


# --- members whose heads are known ----------------------------------------------------------------


def test_a_rule_follower_has_the_margin_of_its_templates_and_none_without_a_head_that_it_needs():
    """Then it draws the mean image, from which all templates are equally far."""
    for row in heads_of(follower_probe(pixels=True)):
        assert row.margin == pytest.approx(DISTANCE, rel=1e-4)
        assert row.acc_strict == 1
        assert row.margin_ablated == pytest.approx(0, abs=1e-5)
        assert row.acc_strict_ablated < 0.5


def test_a_head_that_looks_at_another_pair_reads_that_pairs_operand():
    """Head 0 then gives a of the other pair: right only where that is the same a."""
    probe = follower_probe(pixels=True)
    _, strict = pairs_of(probe.members[0].config)
    pair, other = np.arange(P**2), other_pairs(probe)[0].numpy()
    for row in heads_of(probe):
        operand = pair // P if row.head == 0 else pair % P
        same = operand[other] == operand
        assert row.acc_strict_patched == pytest.approx(same[strict].mean())
        # a wrong template in place of the right one turns the margin round
        expected = DISTANCE * (same.mean() - (1 - same.mean()))
        assert row.margin_patched == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("head", [0, 1])
@pytest.mark.parametrize("off", ["value", "out"])
def test_a_head_that_is_the_same_for_all_pairs_or_not_projected_out_has_no_effect(head, off):
    """The other one has."""
    member = random_member(tiny(heads=2))
    weight = Layout(member.config.shape).views(member.state.average)[f"block0.{off}.w"][0]
    mine = slice(head * 8, head * 8 + 8)
    (weight[:, mine] if off == "value" else weight[mine]).zero_()
    for row in heads_of(probe_of(member)):
        effects = (row.margin_patched, row.margin_ablated)
        if row.head == head:
            assert effects == pytest.approx((row.margin, row.margin), rel=1e-5)
            assert row.acc_strict == row.acc_strict_patched == row.acc_strict_ablated
        else:
            assert all(abs(effect - row.margin) > 1e-3 for effect in effects)


def test_the_heads_of_every_block_have_a_row():
    rows = heads_of(probe_of(random_member(tiny(heads=2, depth=2, patch=4))))
    assert [(r.block, r.head) for r in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({r.margin for r in rows}) == 1


@pytest.mark.parametrize("op", ["add", "div"])
def test_the_accuracy_is_that_of_single_predictions(op):
    probe = follower_probe(pixels=True, op=op, train_fraction=0.7)
    (expected,) = sampled(probe, decoders_of(probe), 1, in_group=False)
    assert {r.acc_strict for r in heads_of(probe)} == {expected.strict}
