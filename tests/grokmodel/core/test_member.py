"""When a member has finished."""

import pytest

from grokmodel.image.pack import Member
from tests.grokmodel.tiny import evaluation, tiny


def member_with(*curve, **changes):
    member = Member.start(tiny(**changes))
    member.curve = list(curve)
    return member


def test_a_fresh_member_is_at_step_zero_and_unfinished():
    assert Member.start(tiny()).step == 0
    assert not Member.start(tiny()).finished


def test_a_member_is_finished_when_its_budget_is_spent():
    assert not member_with(evaluation(15), steps=20).finished
    assert member_with(evaluation(20), steps=20).finished


def test_a_member_is_finished_when_it_has_settled():
    full = [evaluation(5 * k, train=1.0, strict=1.0) for k in range(5)]
    assert member_with(*full, steps=1000).finished
    assert not member_with(*full[:4], steps=1000).finished
    assert not member_with(*full[:2], evaluation(9), *full[2:], steps=1000).finished


def test_a_member_that_has_settled_cools_down_all_the_same():
    full = [evaluation(5 * k, train=1.0, strict=1.0) for k in range(5)]
    assert not member_with(*full, steps=1000, cooldown=100).finished
    assert member_with(*full, evaluation(1000), steps=1000, cooldown=100).finished


def test_a_member_that_has_settled_waits_for_its_late_decay():
    late = {"late_decay_from": 50, "late_weight_decay": 3.0, "steps": 1000}
    before = [evaluation(5 * k, train=1.0, strict=1.0) for k in range(10)]
    after = [evaluation(50 + 5 * k, train=1.0, strict=1.0) for k in range(5)]
    assert not member_with(*before, **late).finished
    assert not member_with(*before, *after[:4], **late).finished
    assert member_with(*before, *after, **late).finished


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_member_is_finished_when_its_loss_is_not_finite(loss):
    assert member_with(evaluation(0), evaluation(5, loss=loss), steps=1000).finished
