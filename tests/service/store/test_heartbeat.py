"""A sweep says how it stands, to those who have the store alone; that it cannot harms nothing."""

import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from service.health.status import status_of
from service.schedule.progress import SweepProgress, TaskProgress
from service.store import heartbeat, keys
from service.store.heartbeat import Heartbeat, heartbeat_key, heartbeats
from service.store.store import Store, StoreError
from service.tables.reading import write_rows
from service.tracking import marks
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]


@pytest.fixture
def sweep(store):
    manifest = {"experiment_id": "1", "trials": {c.trial_id: c.to_dict() for c in CONFIGS}}
    store.put(keys.sweep_key("mine", "1"), json.dumps(manifest).encode())
    write_rows(store, "trials", "mine", [finished_row(CONFIGS[0])])
    return store


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def first_line(store, **age):
    now = datetime.now(UTC) + timedelta(**age)
    return status_of(store, "mine", now).text().splitlines()[0]


def test_a_running_sweep_says_how_far_it_is(sweep):
    facts = {"done": 1, "todo": 3, "share": 0.34, "left_s": 170.0}
    with Heartbeat(sweep, "mine", every_s=0.01) as beating:
        beating.watch(heartbeat.TRAINING, lambda: facts, packs=2, slots=1)
        wait_for(lambda: any(s.beat.share == 0.34 for s in heartbeats(sweep, "mine")))
        (seen,) = heartbeats(sweep, "mine")
        line = first_line(sweep, seconds=12)
        assert line.startswith(f"mine: running on {seen.beat.host}, 1 of 3 trials done, 34 % of ")
        assert "about 3 min left (seen 12 s ago)" in line
        assert (seen.beat.packs, seen.beat.slots, seen.beat.pid) == (2, 1, os.getpid())
        facts |= {"left_s": None, "waiting": "store /x: cannot write y: No space left on device"}
        beating.watch(heartbeat.TRAINING, lambda: facts)
        wait_for(lambda: heartbeats(sweep, "mine")[0].beat.waiting)
        assert "34 % of the steps, waiting: store /x: cannot write y: No space" in first_line(sweep)
        beating.watch(heartbeat.ANALYSING, lambda: {"done": 2, "todo": 3})
        wait_for(lambda: heartbeats(sweep, "mine")[0].beat.state == heartbeat.ANALYSING)
        assert "analysing on" in first_line(sweep)
        assert "2 of 3 trials analysed" in first_line(sweep)
    assert first_line(sweep).startswith("mine: ended ")
    assert "UTC, 1 of 3 trials done" in first_line(sweep)


def test_a_silent_sweep_is_no_running_one(sweep):
    beating = Heartbeat(sweep, "mine")
    beating._write()
    line = first_line(sweep, minutes=7)
    assert "no sign of life" in line
    assert "for 7 min" in line
    assert "run the same command again to resume" in line
    status = status_of(sweep, "mine", datetime.now(UTC) + timedelta(minutes=7))
    assert status.to_dict()["state"] == "silent"


def test_a_clock_behind_the_store_is_no_reason_to_be_taken_for_dead(sweep):
    Heartbeat(sweep, "mine")._write()
    assert "(seen 0 s ago)" in first_line(sweep, hours=-3)


@pytest.mark.parametrize(
    ("error", "state"),
    [(RuntimeError("postgresql://me:hunter2@db lost\nand more"), "failed"),
     (KeyboardInterrupt(), "stopped"), (SystemExit(143), "stopped")],
)  # fmt: skip
def test_how_it_ended_is_said_without_passwords(sweep, error, state):
    with pytest.raises(type(error)), Heartbeat(sweep, "mine"):
        raise error
    assert f"mine: {state} " in first_line(sweep)
    assert "hunter2" not in first_line(sweep)
    assert "more" not in first_line(sweep)
    if state == "failed":
        assert "postgresql://me:***@db lost" in first_line(sweep)


def test_the_last_that_ended_stays_and_the_dead_go(sweep):
    dead, alive = Heartbeat(sweep, "mine"), Heartbeat(sweep, "mine")
    for other in (dead, alive):
        other._write()
    old = time.time() - 600
    os.utime(sweep.path(dead.key), (old, old))
    with pytest.raises(ValueError), Heartbeat(sweep, "mine"):  # noqa: PT011
        raise ValueError
    assert len(heartbeats(sweep, "mine")) == 3
    time.sleep(0.02)
    with Heartbeat(sweep, "mine") as last:
        pass
    assert {seen.key for seen in heartbeats(sweep, "mine")} == {alive.key, last.key}


def test_of_two_drivers_both_are_shown(sweep):
    with Heartbeat(sweep, "mine") as one, Heartbeat(sweep, "mine") as two:
        wait_for(lambda: len(heartbeats(sweep, "mine")) == 2)
        assert one.key != two.key
        assert status_of(sweep, "mine").text().count("running on") == 2


class Broken(Store):
    def put(self, key, data):
        raise StoreError("s3://key:hunter2@bucket is full")


def test_a_store_that_takes_no_heartbeat_is_one_line_in_the_log(settings, caplog):
    with Heartbeat(Broken(settings), "mine", every_s=0.01):
        time.sleep(0.2)
    assert caplog.text.count("heartbeat cannot be written") == 1
    assert "hunter2" not in caplog.text


def test_a_store_that_hangs_holds_up_the_end_for_a_moment_only(settings, monkeypatch):
    monkeypatch.setattr(heartbeat, "LAST_BEAT_S", 0.2)
    release = threading.Event()

    class Hanging(Store):
        def put(self, key, data):
            release.wait(30)

    started = time.monotonic()
    with Heartbeat(Hanging(settings), "mine", every_s=0.01):
        pass
    assert time.monotonic() - started < 15
    release.set()


def test_facts_that_cannot_be_told_are_left_out(store):
    def facts():
        raise RuntimeError("dictionary changed size during iteration")

    with Heartbeat(store, "mine", every_s=0.01) as beating:
        beating.watch(heartbeat.TRAINING, facts)
        wait_for(lambda: heartbeats(store, "mine")[:1])
    assert heartbeats(store, "mine")[0].beat.state == "ended"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"state": "training"}', b"\xff"])
def test_what_is_no_heartbeat_is_left_out(sweep, body):
    sweep.put(heartbeat_key("mine", "odd"), body)
    assert heartbeats(sweep, "mine") == []
    assert first_line(sweep) == "mine: 1 of 3 trials done"


def test_status_names_what_is_left(sweep):
    marks.mark(sweep, "mine", [marks.SWEEP, CONFIGS[0].trial_id, CONFIGS[1].trial_id])
    failed = {"trial_id": CONFIGS[0].trial_id, "analysis": "heads", "checkpoint": ""}
    write_rows(sweep, "failures", "mine", [failed | {"error": "E", "message": "m"}])
    for config in CONFIGS:  # the first is done: its resume point counts for nothing
        sweep.put(keys.state_key(config.trial_id), b"x")
    now = datetime.now(UTC) + timedelta(seconds=40)
    text = status_of(sweep, "mine", now).text()
    assert "2 unfinished trials have a resume point, the newest 40 s old" in text
    assert "1 analysis failed" in text
    assert "2 things are not in MLflow yet: grok publish --sweep mine" in text
    found = status_of(sweep, "mine", now).to_dict()
    assert (found["failed_analyses"], found["not_in_mlflow"]) == (1, 2)
    assert found["resume_points"]["count"] == 2
    assert json.loads(json.dumps(found)) == found


class Pack:
    trial_id = "pack"


def result(steps, phases=None, restored=0):
    return {"steps": steps, "restored": restored, "phases": phases or {}, "waiting": ""}


def test_time_left_rests_on_the_steps_of_this_run(monkeypatch):
    """A sweep of 120 steps that resumes from the 60th and makes 30 in 10 s has 10 s to go."""

    class Plan:
        todo = CONFIGS

    now = [0.0]
    monkeypatch.setattr("service.schedule.progress.time.monotonic", lambda: now[0])
    progress = SweepProgress(Plan)
    total = sum(c.steps for c in CONFIGS)
    now[0] = 10.0
    for made in (0, 1):
        steps = total // 2 + made * total // 4
        progress.on_trial_result(made, [], Pack, result(steps, restored=total // 2))
    assert progress.facts()["left_s"] == pytest.approx(10.0)
    # a pack that is started again has restored more, but the run has made it
    progress.on_trial_result(2, [], Pack, result(steps, restored=steps))
    assert progress.facts()["left_s"] == pytest.approx(10.0)
    progress.close()


def test_progress_tells_the_heartbeat_what_it_shows():
    class Plan:
        todo = CONFIGS

    progress = SweepProgress(Plan)
    nothing = {"done": 0, "todo": 3, "share": 0.0, "left_s": None, "waiting": ""}
    assert progress.facts() == nothing
    progress.on_trial_result(1, [], Pack, result(60, {CONFIGS[0].trial_id: "x"}))
    facts = progress.facts()
    assert (facts["done"], facts["share"]) == (1, 0.5)
    assert facts["left_s"] > 0
    progress.close()
    with TaskProgress(4, "trials analysed", lambda line: None) as tasks:
        tasks.add(3)
        assert tasks.facts() == {"done": 3, "todo": 4}
