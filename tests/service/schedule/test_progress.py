"""What a sweep says of how far it is: what is written, how long it takes, why it waits."""

import pytest

from service.schedule import progress as module
from service.schedule.progress import SweepProgress
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(4)]
STEPS = sum(c.steps for c in CONFIGS)
FULL = "store /x: cannot write tables/trials: No space left on device. Make room there"


class Plan:
    todo = CONFIGS


class Pack:
    trial_id = "pack 1"


class Other:
    trial_id = "pack 2"


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def progress(clock):
    found = SweepProgress(Plan)
    yield found
    found.close()


def report(progress, steps, done=0, waiting="", pack=Pack, restored=0):
    phases = {c.trial_id: "grokking" for c in CONFIGS[:done]}
    result = {"steps": steps, "restored": restored, "phases": phases, "waiting": waiting}
    progress.on_trial_result(1, [], pack, result)


def test_a_line_says_what_is_done_and_what_is_left(progress, clock):
    clock[0] = 60.0
    report(progress, STEPS // 2, done=1)
    assert progress.line() == (
        "1/4 trials (1 grokking), 60 trials/h, 50% of the steps, time left: 60 s at most"
    )


def test_time_left_rests_on_the_steps_of_this_run(progress, clock):
    """Resumed from half of its steps, and a quarter made in 10 s: 10 s to go."""
    assert progress.facts()["left_s"] is None
    clock[0] = 10.0
    for made in (2, 3):
        report(progress, made * STEPS // 4, restored=STEPS // 2)
    assert progress.facts()["left_s"] == pytest.approx(10.0)
    # a pack that is started again has restored more, but the run has made it
    report(progress, 3 * STEPS // 4, restored=3 * STEPS // 4)
    assert progress.facts()["left_s"] == pytest.approx(10.0)


def test_while_a_store_takes_nothing_a_line_says_so_in_place_of_the_time_left(progress, clock):
    clock[0] = 60.0
    report(progress, STEPS, waiting=FULL)
    assert progress.line() == f"0/4 trials, 100% of the steps, waiting: {FULL}"
    assert progress.facts()["left_s"] is None
    assert progress.facts()["waiting"] == FULL
    report(progress, STEPS, done=4)
    assert "waiting" not in progress.line()
    assert progress.facts()["waiting"] == ""
    assert progress.facts()["left_s"] == 0.0


def test_one_pack_that_waits_is_said_though_another_does_not(progress, clock):
    clock[0] = 60.0
    report(progress, STEPS // 2, waiting=FULL)
    report(progress, STEPS // 2, done=2, pack=Other)
    assert FULL in progress.line()


def test_a_pack_that_has_failed_for_good_waits_no_more(progress):
    report(progress, STEPS // 2, waiting=FULL)
    progress.on_trial_error(2, [], Pack)
    assert "waiting" not in progress.line()


def test_at_the_end_nothing_is_left_nor_waited_for(progress, clock):
    clock[0] = 60.0
    report(progress, STEPS, done=1)
    progress.close()
    assert progress.line() == "1/4 trials (1 grokking), 60 trials/h"


def test_what_is_trained_and_not_written_takes_an_unknown_time(progress, clock):
    clock[0] = 60.0
    report(progress, STEPS, done=3)
    assert progress.facts()["left_s"] is None
    assert progress.line().endswith("time left: the last rows are being written")


def test_a_pack_that_is_started_again_has_lost_what_was_not_saved(progress, clock):
    """Trained to its end, never written, begun from its start: nothing is done."""
    clock[0] = 60.0
    report(progress, STEPS)
    report(progress, STEPS // 4)
    assert progress.facts()["share"] == 0.25
    assert progress.facts()["left_s"] == pytest.approx(180.0)
