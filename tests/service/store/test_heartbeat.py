"""A sweep says how it stands, to those who have the store alone; that it cannot harms nothing."""

import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from service.health.status import status_of
from service.store import heartbeat, keys, marks
from service.store.heartbeat import Heartbeat, heartbeats
from service.store.manifest import write_manifest
from service.store.store import Store, StoreError
from service.tables.writing import write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]


@pytest.fixture
def sweep(store):
    write_manifest(store, "mine", CONFIGS, "1")
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
        beating.watch(heartbeat.ANALYZING, lambda: 1 / 0)  # what cannot be told is left out
        wait_for(lambda: heartbeats(sweep, "mine")[0].beat.state == heartbeat.ANALYZING)
        beating.watch(heartbeat.ANALYZING, lambda: {"done": 2, "todo": 3})
        wait_for(lambda: heartbeats(sweep, "mine")[0].beat.done == 2)
        assert "analyzing on" in first_line(sweep)
        assert "2 of 3 trials analyzed" in first_line(sweep)
    assert first_line(sweep).startswith("mine: ended ")
    assert "UTC, 1 of 3 trials done" in first_line(sweep)


def test_a_silent_sweep_is_no_running_one_but_by_a_clock_behind_the_store(sweep):
    Heartbeat(sweep, "mine")._write()
    line = first_line(sweep, minutes=7)
    assert "no sign of life from" in line
    assert "for 7 min, 1 of 3 trials done; run the same command again to resume" in line
    status = status_of(sweep, "mine", datetime.now(UTC) + timedelta(minutes=7))
    assert status.to_dict()["state"] == "silent"
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
    assert status_of(sweep, "mine").text().count("running on") == 2  # both are shown
    old = time.time() - 600
    os.utime(sweep.path(dead.key), (old, old))
    with pytest.raises(ValueError), Heartbeat(sweep, "mine"):  # noqa: PT011
        raise ValueError
    assert len(heartbeats(sweep, "mine")) == 3
    time.sleep(0.02)
    with Heartbeat(sweep, "mine") as last:
        pass
    assert {seen.key for seen in heartbeats(sweep, "mine")} == {alive.key, last.key}


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


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"state": "training"}', b"\xff"])
def test_what_is_no_heartbeat_is_left_out(sweep, body):
    sweep.put(keys.progress_key("mine", "odd"), body)
    assert heartbeats(sweep, "mine") == []
    assert first_line(sweep) == "mine: 1 of 3 trials done"


def test_status_names_what_is_left(sweep):
    marks.mark(sweep, "mine", [marks.SWEEP, CONFIGS[0].trial_id, CONFIGS[1].trial_id])
    failed = {"trial_id": CONFIGS[0].trial_id, "analysis": "heads", "checkpoint": ""}
    write_rows(sweep, "failures", "mine", [failed | {"error": "E", "message": "m"}])
    for config in CONFIGS:  # the first is done: its resume point counts for nothing
        sweep.put(keys.state_key(config.trial_id), b"x")
    older = time.time() - 60
    os.utime(sweep.path(keys.state_key(CONFIGS[1].trial_id)), (older, older))
    now = datetime.now(UTC) + timedelta(seconds=40)
    text = status_of(sweep, "mine", now).text()
    assert "2 unfinished trials have a resume point, the newest 40 s old" in text
    assert "1 analysis failed" in text
    assert "2 things are not in MLflow yet: grok publish --sweep mine" in text
    found = status_of(sweep, "mine", now).to_dict()
    assert (found["failed_analyses"], found["not_in_mlflow"]) == (1, 2)
    assert found["resume_points"]["count"] == 2
    assert json.loads(json.dumps(found)) == found
