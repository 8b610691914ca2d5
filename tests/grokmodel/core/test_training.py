import math

import numpy as np
import pytest
import torch

from grokmodel.core.outcome import DIVERGED
from grokmodel.image.pack import Member
from tests.grokmodel.tiny import assert_same_training, curve_array, rounds, tiny, train_together


def test_a_curve_begins_at_step_zero_and_has_a_row_every_eval_every_steps():
    (member,) = train_together(tiny(steps=20, eval_every=5))
    assert [e.step for e in member.curve] == [0, 5, 10, 15, 20]
    assert member.state.step.tolist() == [20]
    assert member.finished


def test_training_lowers_the_loss():
    (member,) = train_together(tiny(steps=100, eval_every=20, lr=3e-3, weight_decay=0.0))
    losses = [e.loss for e in member.curve]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.8 * losses[0]


def test_the_loss_of_a_row_is_the_mean_over_the_steps_since_the_row_before():
    often, seldom = (train_together(tiny(steps=20, eval_every=k))[0] for k in (1, 10))
    losses = {e.step: e.loss for e in often.curve}
    for row in seldom.curve[1:]:
        since = [losses[step] for step in range(row.step - 9, row.step + 1)]
        assert row.loss == pytest.approx(sum(since) / 10, rel=1e-5)


def test_the_weight_norm_of_a_row_is_that_of_the_weights():
    (member,) = train_together(tiny())
    assert member.curve[-1].weight_norm == pytest.approx(
        float(member.state.weights.norm()), rel=1e-5
    )


def test_the_final_state_of_every_member_is_its_own():
    """Members that finish at the same time are all written back."""
    members = train_together(tiny(seed=1), tiny(seed=2, steps=10))
    for member in members:
        assert member.state.step.tolist() == [member.config.steps]
        assert member.curve[-1].weight_norm == pytest.approx(
            float(member.state.weights.norm()), rel=1e-5
        )


# --- a member that fails --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_a_failing_member():
    """Healthy, failing, healthy: the learning rate of the second is absurd."""
    return train_together(tiny(seed=1), tiny(seed=2, lr=1e30), tiny(seed=3, P=9))


def test_an_absurd_learning_rate_ends_as_diverged(with_a_failing_member):
    sick = with_a_failing_member[1]
    assert sick.phase == DIVERGED
    assert not math.isfinite(sick.curve[-1].loss)
    assert sick.step < sick.config.steps


@pytest.mark.parametrize("i", [0, 2])
def test_a_failing_member_does_not_change_its_pack_mates(with_a_failing_member, i):
    healthy = with_a_failing_member[i]
    assert np.isfinite(curve_array(healthy.curve)[:, :5]).all()
    assert_same_training(healthy, train_together(healthy.config)[0])


# --- members that leave ---------------------------------------------------------------------------


def test_members_of_different_budgets_train_as_alone():
    configs = [tiny(seed=k, steps=steps) for k, steps in enumerate((10, 25, 5, 25))]
    members = train_together(*configs)
    assert [m.step for m in members] == [10, 25, 5, 25]
    for config, member in zip(configs, members):
        assert_same_training(member, train_together(config)[0])


def test_members_that_stopped_are_no_longer_evaluated():
    members = [Member.start(tiny(seed=k, steps=steps)) for k, steps in enumerate((10, 20))]
    seen = [[m.config.seed for m in r.evaluated] for r in rounds(members)]
    assert seen == [[0, 1], [0, 1], [0, 1], [1], [1]]


def test_a_stopped_member_leaves_the_pack():
    members = [Member.start(tiny(seed=k, steps=steps)) for k, steps in enumerate((10, 20))]
    assert [len(r.pack.members) for r in rounds(members)] == [2, 2, 2, 1, 1]


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


# --- rounds ---------------------------------------------------------------------------------------


def test_writing_a_round_back_brings_states_up_to_date():
    members = [Member.start(tiny(seed=k)) for k in range(2)]
    for r in rounds(members):
        r.write_back()
        for member in members:
            assert member.state.step.tolist() == [member.step]
            norm = float(member.state.weights.norm())
            assert member.curve[-1].weight_norm == pytest.approx(norm, rel=1e-5)


def test_the_time_of_a_pack_is_shared_out_to_its_members():
    members = [Member.start(tiny(seed=k)) for k in range(3)]
    before = 0.0
    for _ in rounds(members):
        shares = [m.wall_s for m in members]
        assert shares[0] == pytest.approx(shares[1]) == pytest.approx(shares[2])
        assert shares[0] > before
        before = shares[0]
