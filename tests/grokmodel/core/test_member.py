"""When a member has finished."""

import pytest

from grokmodel.image.pack import Member
from tests.grokmodel.tiny import evaluation, tiny

LATE = {"late_decay_from": 50, "late_weight_decay": 3.0}


def right(*steps):
    """Evaluations with everything right."""
    return [evaluation(step, train=1.0, strict=1.0) for step in steps]


@pytest.mark.parametrize(
    ("curve", "changes", "finished"),
    [
        ([], {}, False),
        # out of budget
        ([evaluation(995)], {}, False),
        ([evaluation(1000)], {}, True),
        # settled
        (right(0, 5, 10, 15, 20), {}, True),
        (right(0, 5, 10, 15), {}, False),
        ([*right(0, 5), evaluation(9), *right(10, 15, 20)], {}, False),
        # a cool-down and a late decay are waited for
        (right(0, 5, 10, 15, 20), {"cooldown": 100}, False),
        ([*right(0, 5, 10, 15, 20), evaluation(1000)], {"cooldown": 100}, True),
        (right(*range(0, 50, 5)), LATE, False),
        (right(*range(0, 70, 5)), LATE, False),
        (right(*range(0, 75, 5)), LATE, True),
        # no longer finite
        ([evaluation(0), evaluation(5, loss=float("nan"))], {}, True),
        ([evaluation(0), evaluation(5, loss=float("inf"))], {}, True),
    ],
)
def test_a_member_is_finished_when_nothing_more_will_be_learned(curve, changes, finished):
    member = Member.start(tiny(steps=1000, **changes))
    member.curve = curve
    assert member.finished == finished
    assert member.step == (curve[-1].step if curve else 0)
