"""A member reads back as it was written, and goes on as if it had never stopped."""

import numpy as np
import pytest
import torch

from grokmodel.core.checkpoint import dump_snapshot, dump_state, load_snapshot, load_state
from grokmodel.image.pack import Member
from tests.grokmodel.checkpoints import assert_identical
from tests.grokmodel.tiny import curve_array, rounds, tiny, train_together


def train_and_dump(configs, at):
    """Members trained to the end, and each as bytes in the middle, at step `at`."""
    members = [Member.start(c) for c in configs]
    dumps = []
    for r in rounds(members):
        if members[0].step == at:
            r.write_back()
            dumps = [dump_state(m) for m in members]
    return members, dumps


# --- resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 5, 15])
@pytest.mark.parametrize(
    "configs",
    [
        [tiny()],
        [tiny(N=2, loss="velocity", variant="sandwich", depth=2)],
        [tiny(seed=1), tiny(seed=2, P=11, lr=3e-3), tiny(seed=3, N=2)],
    ],
    ids=["alone", "another shape", "a pack"],
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(configs, at):
    uninterrupted, dumps = train_and_dump(configs, at)
    resumed = [load_state(Member, data) for data in dumps]
    assert [m.step for m in resumed] == [at] * len(configs)
    for _ in rounds(resumed):
        pass
    for member, other in zip(resumed, uninterrupted):
        assert_identical(member, other)


def test_resuming_twice_is_still_the_uninterrupted_run():
    (uninterrupted,), (data,) = train_and_dump([tiny()], at=5)
    (_, (data,)) = resume_and_dump(data, at=10)
    resumed = load_state(Member, data)
    for _ in rounds([resumed]):
        pass
    assert_identical(resumed, uninterrupted)


def resume_and_dump(data, at):
    member = load_state(Member, data)
    for r in rounds([member]):
        r.write_back()
        if member.step == at:
            return member, [dump_state(member)]
    raise AssertionError(f"no evaluation at step {at}")


# --- round trip -----------------------------------------------------------------------------------


def test_a_state_reads_back_as_written(trained):
    back = load_state(Member, dump_state(trained))
    assert_identical(back, trained)
    assert back.wall_s == trained.wall_s
    assert dump_state(back) == dump_state(trained)


def test_a_fresh_member_without_a_curve_reads_back_as_written():
    fresh = Member.start(tiny())
    assert_identical(load_state(Member, dump_state(fresh)), fresh)


def test_a_curve_with_values_that_are_not_finite_reads_back():
    (sick,) = train_together(tiny(lr=1e30))
    assert not np.isfinite(sick.curve[-1].loss)
    back = load_state(Member, dump_state(sick))
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(sick.curve))


def test_writing_does_not_change_the_member(trained):
    before = trained.state.weights.clone()
    dump_state(trained)
    dump_snapshot(trained)
    assert torch.equal(trained.state.weights, before)


def test_a_loaded_state_does_not_alias_the_average(trained):
    back = load_state(Member, dump_state(trained))
    back.state.weights.add_(1.0)
    assert torch.equal(back.state.average, trained.state.average)


@pytest.mark.parametrize("dump", [dump_snapshot, dump_state])
def test_a_snapshot_holds_average_curve_and_step(trained, dump):
    back = load_snapshot(Member, dump(trained))
    assert back.config == trained.config
    assert torch.equal(back.state.average, trained.state.average)
    assert back.state.step.tolist() == [trained.config.steps]
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(trained.curve))


def test_a_snapshot_is_much_smaller_than_a_state(trained):
    assert len(dump_snapshot(trained)) < len(dump_state(trained)) / 2
