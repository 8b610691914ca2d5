import math

import numpy as np
import pytest
import torch

from grokmodel.core.execution import EAGER
from grokmodel.core.outcome import DIVERGED
from grokmodel.core.training import RESTACK_AT
from grokmodel.image.pack import Member
from tests.grokmodel.tiny import (
    assert_same_training,
    curve_array,
    evaluation,
    rounds,
    tiny,
    train_together,
)


def test_the_loss_of_a_row_is_the_mean_over_the_steps_since_the_row_before():
    often, seldom = (train_together(tiny(steps=20, eval_every=k))[0] for k in (1, 10))
    losses = {e.step: e.loss for e in often.curve}
    for row in seldom.curve[1:]:
        since = [losses[step] for step in range(row.step - 9, row.step + 1)]
        assert row.loss == pytest.approx(sum(since) / 10, rel=1e-5)


def test_a_failing_member_ends_as_diverged_and_does_not_change_its_pack_mates():
    """Its learning rate is absurd."""
    members = train_together(tiny(seed=1), tiny(seed=2, lr=1e30), tiny(seed=3, P=9))
    first, sick, last = members
    assert sick.phase == DIVERGED
    assert not math.isfinite(sick.curve[-1].loss)
    assert sick.step < sick.config.steps
    for healthy in (first, last):
        assert np.isfinite(curve_array(healthy.curve)[:, :5]).all()
        assert_same_training(healthy, train_together(healthy.config)[0])


# --- members that leave ---------------------------------------------------------------------------


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_members_of_different_budgets_train_as_alone(share, monkeypatch):
    """Whether they leave the pack at once, or with others, as where another size is costly."""
    monkeypatch.setitem(RESTACK_AT, EAGER, share)
    configs = [tiny(seed=k, steps=steps) for k, steps in enumerate((10, 25, 5, 25))]
    members = [Member.start(config) for config in configs]
    sizes = {len(round_.pack.members) for round_ in rounds(members)}
    assert sizes == ({4, 3, 2} if share == 1.0 else {4, 2})
    assert [m.step for m in members] == [10, 25, 5, 25]
    for config, member in zip(configs, members):
        assert_same_training(member, train_together(config)[0])


def test_a_stopped_member_leaves_the_pack_and_is_no_longer_evaluated():
    members = [Member.start(tiny(seed=k, steps=steps)) for k, steps in enumerate((10, 20))]
    seen = [([m.config.seed for m in r.evaluated], len(r.pack.members)) for r in rounds(members)]
    assert seen == [([0, 1], 2)] * 3 + [([1], 1)] * 2


def test_a_row_is_of_its_step_and_writing_a_round_back_brings_states_up_to_date():
    """The first row is of step 0; what finishes is written back in any case."""
    members = [Member.start(tiny(seed=k, steps=20, eval_every=5)) for k in range(2)]
    steps = []
    for r in rounds(members):
        if members[0].step < 20:
            r.write_back()
        steps.append(members[0].step)
        for member in members:
            assert member.state.step.tolist() == [member.step]
            norm = float(member.state.weights.norm())
            assert member.curve[-1].weight_norm == pytest.approx(norm, rel=1e-5)
    assert steps == [e.step for e in members[1].curve] == [0, 5, 10, 15, 20]


def test_finished_members_are_not_trained_again():
    members = train_together(tiny())
    weights = members[0].state.weights.clone()
    assert list(rounds(members)) == []
    assert torch.equal(members[0].state.weights, weights)


def test_a_fresh_member_may_join_one_that_has_begun():
    veteran = Member.start(tiny(seed=1, steps=20))
    training = rounds([veteran])
    for r in training:
        r.write_back()
        if veteran.step == 10:
            break
    training.close()
    fresh = Member.start(tiny(seed=2, steps=20))
    for _ in rounds([veteran, fresh]):
        pass
    for member in (veteran, fresh):
        assert [e.step for e in member.curve] == [0, 5, 10, 15, 20]
        assert_same_training(member, train_together(member.config)[0])


def test_the_time_of_a_pack_is_shared_out_to_its_members():
    members = [Member.start(tiny(seed=k)) for k in range(3)]
    before = 0.0
    for _ in rounds(members):
        shares = [m.wall_s for m in members]
        assert shares[0] == pytest.approx(shares[1]) == pytest.approx(shares[2])
        assert shares[0] > before
        before = shares[0]


# --- when a member has finished -------------------------------------------------------------------


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
