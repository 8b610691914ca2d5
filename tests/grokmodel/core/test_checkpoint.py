"""A member reads back as it was written, and goes on as if it had never stopped."""

import numpy as np
import pytest
import torch

from grokmodel.core.checkpoint import (
    STATE_ROWS,
    dump_snapshot,
    dump_state,
    load_snapshot,
    load_state,
)
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


# --- round trip -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["trained", "fresh", "diverged"])
def member(request, trained):
    if request.param == "diverged":
        (sick,) = train_together(tiny(lr=1e30))
        assert not np.isfinite(sick.curve[-1].loss)
        return sick
    return trained if request.param == "trained" else Member.start(tiny())


def test_a_state_reads_back_as_written(member):
    data = dump_state(member)
    back = load_state(Member, data)
    for row in STATE_ROWS:
        mine, theirs = getattr(back.state, row), getattr(member.state, row)
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(member.curve))
    assert (back.config, back.wall_s) == (member.config, member.wall_s)
    assert dump_state(back) == dump_state(member) == data
    back.state.weights.add_(1.0)  # the average is no view of them
    assert dump_snapshot(back) == dump_snapshot(member)


@pytest.mark.parametrize("dump", [dump_snapshot, dump_state])
def test_a_snapshot_holds_average_curve_and_step(trained, dump):
    back = load_snapshot(Member, dump(trained))
    assert back.config == trained.config
    assert torch.equal(back.state.average, trained.state.average)
    assert back.state.step.tolist() == [trained.config.steps]
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(trained.curve))
