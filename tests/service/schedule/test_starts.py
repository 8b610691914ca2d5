"""A sweep none of whose workers starts is over; one that loses workers is not."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ActorUnschedulableError
from ray.tune.experiment import Trial

from service.schedule.starts import Starts

NO_PYTHON = ActorUnschedulableError("worker startup repeatedly failed")
LOST = ActorDiedError()


@pytest.fixture
def pack(tmp_path):
    """What `Starts` looks at of a trial of Tune."""
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
