"""A sweep none of whose workers starts is over; one that loses workers is not. It says why packs
failed for good, and nothing of what they got over."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ActorUnschedulableError
from ray.tune.experiment import Trial

from service.schedule.failures import Reasons, Starts

NO_PYTHON = ActorUnschedulableError("worker startup repeatedly failed")
LOST = ActorDiedError()


@pytest.fixture
def pack(tmp_path):
    """What is looked at of a trial of Tune."""
    return SimpleNamespace(error_file=str(tmp_path / "error.txt"), status=Trial.PENDING)


def fail(starts, pack, error):
    """As Tune does it, another pack of the same sweep standing by."""
    with open(pack.error_file, "a") as file:
        file.write(f"Failure # 1 (occurred at noon)\n{error}\n")
    starts.on_trial_recover(0, [pack], pack)
    starts.on_step_end(0, [pack])


def test_two_in_a_row_that_cannot_start_are_the_end_and_workers_that_are_lost_are_not(pack):
    starts = Starts()
    for error in [NO_PYTHON, *[LOST] * 9]:
        fail(starts, pack, error)
        assert not starts.stop_all()
    fail(starts, pack, NO_PYTHON)
    assert starts.stop_all()


def test_as_long_as_one_starts_or_runs_the_sweep_goes_on(pack):
    starts = Starts()
    for _ in range(3):
        fail(starts, pack, NO_PYTHON)
        starts.on_trial_start(0, [pack], pack)
        assert not starts.stop_all()
    pack.status = Trial.RUNNING
    for _ in range(3):
        fail(starts, pack, NO_PYTHON)
        assert not starts.stop_all()
    pack.status = Trial.PENDING
    starts.on_step_end(0, [pack])
    assert starts.stop_all()


def test_a_pack_that_was_tried_again_has_not_failed(pack):
    """Stopped by Ctrl-C afterwards, a sweep is stopped, and no more."""
    reasons = Reasons()
    with open(pack.error_file, "a") as file:
        file.write("Failure # 1 (occurred at noon)\nTraceback\nActorDiedError: lost\n")
    reasons.on_trial_result(0, [pack], pack, {"news": ()})
    assert reasons.found == set()
    with open(pack.error_file, "a") as file:
        file.write("\nFailure # 2 (occurred at one)\nTraceback\nStoreError: no room\n")
    reasons.on_trial_error(0, [pack], pack)
    reasons.on_trial_result(0, [pack], pack, {"news": (), "error": "ValueError: no light"})
    assert reasons.found == {"StoreError: no room", "ValueError: no light"}
