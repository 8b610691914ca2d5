"""The whole way as a user goes it, in processes of its own: run, run again, kill, submit."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.environment import GROK, GROK_PHASE, TIMEOUT_S, python, python_on_terminal, started

ANALYZE = (*GROK, "analyze", "--sweep", "smoke", "--only")
SLOW_TRIALS = ["--preset", "smoke", "--name", "killed", "--steps", "400", "--seeds", "6"]
SLOW_TRIALS += ["--analyses", "none"]
"""Twelve trials in two rounds of packs: after the first round it can be killed half-way."""


@pytest.fixture
def swept(smoke_store, tmp_path):
    """A copy of the store after `smoke`."""
    return shutil.copytree(smoke_store, tmp_path / "store")


def sweep(store, *flags):
    return said_by(store, GROK_PHASE, *flags)


def said_by(store, *command):
    done = python(*command, GROK_STORE=store)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trials(store):
    folder = store / "tables" / "trials"
    return pd.read_parquet(folder) if folder.exists() else pd.DataFrame({"trial_id": []})


def runs(store, name):
    client = MlflowClient(f"sqlite:///{store}/mlflow.db")
    experiment = client.get_experiment_by_name(name)
    return client.search_runs([experiment.experiment_id])


def parts(store):
    folder = store / "tables" / "trials"
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def test_a_sweep_leaves_tables_figures_and_runs_and_is_not_run_twice(smoke_store, swept):
    store, out = swept, smoke_store.with_name("said").read_text()
    assert "4/4 trials" in out
    for part in (
        "tables/{trials,curves,spectra,...}",
        "report.html",
        " ui --store ",
        "page     open file://",
    ):
        assert part in out
    assert len(trials(store)) == 4
    spectra = pd.read_parquet(store / "tables" / "spectra")
    assert set(spectra["trial_id"]) == set(trials(store)["trial_id"])
    shares = spectra.groupby(["trial_id", "hook", "head", "t", "shown"]).agg(
        {"fve_a": "sum", "fve_b": "sum", "fve_ab": "sum", "fve_cross": "first"}
    )
    total = shares.sum(axis=1)
    assert total.between(0.999999, 1.000001).all()
    assert {p.suffix for p in (store / "figures" / "smoke").iterdir()} == {".png", ".html"}
    found = runs(store, "smoke")
    parent = next(r for r in found if r.data.tags["grok.kind"] == "sweep")
    children = [r for r in found if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == 4
    assert {"git.commit", "version.torch", "device"} <= parent.data.tags.keys()

    before = parts(store)
    assert "all 4 trials are done already" in sweep(store, "--preset", "smoke")
    assert parts(store) == before
    assert len(runs(store, "smoke")) == 5


@pytest.mark.cluster
def test_the_rest_of_the_analyses_is_asked_for_and_done_once(swept):
    folder = swept / "tables"
    before = pd.read_parquet(folder / "analyses")
    quick = {"spectra", "progress", "basins", "complexity", "heads"}
    for _, mine in before.groupby("trial_id"):
        assert set(mine["analysis"]) >= quick
    assert said_by(swept, *ANALYZE, "heads,basins") == ("nothing is missing in smoke\n")
    out = said_by(swept, *ANALYZE, "blocked,identities")
    assert "trials analyzed" in out
    (beat,) = (swept / "progress" / "smoke").iterdir()  # seen to its end, and MLflow has it all
    assert beat.stat().st_mtime > (swept / "figures" / "smoke" / "report.html").stat().st_mtime
    assert not [path for path in (swept / "outbox").rglob("*") if path.is_file()]
    for table in ("blocked", "identities"):
        assert pd.read_parquet(folder / table)["trial_id"].nunique() == 4
    after = pd.read_parquet(folder / "analyses")
    key = ["trial_id", "analysis"]
    both = before.merge(after, on=key, suffixes=("", "_after"))
    assert len(both) == len(before)
    assert (both["seconds"] == both["seconds_after"]).all()  # what was there is what is there


@pytest.mark.cluster
def test_a_worker_killed_while_it_analyses_costs_nothing(swept):
    """Ray starts the task again; what was written is written once."""
    names = ["identities", "timesteps", "learning_coefficient"]
    folder = swept / "tables"
    before = set((folder / "identities").rglob("*.parquet"))
    running = started(*ANALYZE, ",".join(names), GROK_STORE=swept)
    deadline = time.monotonic() + TIMEOUT_S
    while set((folder / "identities").rglob("*.parquet")) == before:  # the long ones come after
        assert running.poll() is None, running.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    victims = workers_of(running.pid)
    assert victims
    os.kill(victims[0], signal.SIGKILL)
    out, _ = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 0, out
    marks = pd.read_parquet(folder / "analyses").query("analysis in @names")
    assert len(marks) == len(marks.drop_duplicates(["trial_id", "analysis"])) == 12
    levels = pd.read_parquet(folder / "timesteps")
    assert len(levels) == len(levels.drop_duplicates(["trial_id", "level"])) == 4 * 51
    assert not (folder / "failures").exists() or not list((folder / "failures").rglob("*.parquet"))


def workers_of(driver):
    """Processes that run analyses for a driver: descendants of it that Ray has named so."""
    parent, name = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid = int(status.parent.name)
            parent[pid] = int(status.read_text().rsplit(")", 1)[1].split()[1])
            name[pid] = (status.parent / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue

    def belongs(pid):
        while pid > 1 and pid != driver:
            pid = parent.get(pid, 0)
        return pid == driver

    return [pid for pid in name if "ray::analysis_task" in name[pid] and belongs(pid)]


@pytest.mark.cluster
def test_what_another_sweep_has_trained_is_taken_over_and_a_sweep_extended(smoke_store, swept):
    """In a copy of the store, so that nothing of the original changes."""
    before = {path: path.stat().st_mtime_ns for path in smoke_store.rglob("*")}
    flags = ["--seeds", "3", "--analyses", "none"]
    out = sweep(swept, "--preset", "smoke", "--name", "again", *flags)
    assert "4 known from other sweeps, 2 to train" in out
    again = trials(swept).query("sweep == 'again'")
    assert len(again) == again["trial_id"].nunique() == 6
    assert len(runs(swept, "again")) == 7

    out = sweep(swept, "--preset", "smoke", "--weight-decay", "1", *flags)
    assert "3 trials, 2 done already, 1 known from other sweeps, 0 to train" in out
    said = said_by(swept, *GROK, "status")
    assert "smoke: ended" in said
    assert "5 of 5 trials done" in said
    assert {path: path.stat().st_mtime_ns for path in smoke_store.rglob("*")} == before
    assert len(list((swept / "mlartifacts").rglob("report.html"))) == 2  # one of each sweep


@pytest.mark.cluster
def test_killed_in_the_middle_it_is_completed_and_nothing_is_done_twice(tmp_path):
    store = tmp_path / "store"
    driver = started(GROK_PHASE, *SLOW_TRIALS, GROK_STORE=store)
    deadline = time.monotonic() + TIMEOUT_S
    while len(trials(store)) == 0:
        assert driver.poll() is None, "the sweep ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until_quiet(store)
    done, finished_parts = set(trials(store)["trial_id"]), parts(store)
    assert 0 < len(done) < 12
    # as if the kill had come between the row of a trial and the end of its resume point
    leave_resume_point(store, min(done))

    shown, code = python_on_terminal(GROK_PHASE, *SLOW_TRIALS, GROK_STORE=store)
    assert code == 0, shown
    assert f"{len(done)} done already" in shown
    assert re.search(r"\d%\|.*% of the steps", shown)  # a bar
    after = trials(store)
    assert len(after) == after["trial_id"].nunique() == 12
    assert {p: t for p, t in parts(store).items() if p in finished_parts} == finished_parts
    assert len(runs(store, "killed")) == 13
    assert resume_points(store) == []


def leave_resume_point(store, trial_id):
    folder = store / "checkpoints" / trial_id
    (folder / "state.safetensors").write_bytes(max(folder.iterdir()).read_bytes())
    assert folder / "state.safetensors" in resume_points(store)


def resume_points(store):
    return list((store / "checkpoints").rglob("state.safetensors"))


def wait_until_quiet(store):
    """Until the workers of a killed driver have ended: no new part for a while."""
    known, since = parts(store), time.monotonic()
    while time.monotonic() - since < 6:
        if parts(store) != known:
            known, since = parts(store), time.monotonic()
        time.sleep(0.5)
