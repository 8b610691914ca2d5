"""Drivers at once, two of one sweep and one of a sweep that shares its trials: no row twice, none
damaged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from grokmodel.core.checkpoint import load_snapshot
from grokmodel.image.pack import Member
from service.settings import Settings
from service.store.keys import snapshot_key
from service.store.manifest import read_manifest
from service.store.store import Store
from service.tables.reading import read_table
from tests.faults.driver import EVERY, configs

pytestmark = pytest.mark.cluster

STEPS = 16
ROOT = Path(__file__).resolve().parents[2]


def drive(stack, store, trace, sweeps):
    """Run sweeps, each (name, trials), at the same time; returns what they said."""
    env = os.environ | stack.env() | {"GROK_STORE": store, "GROK_TRACE": str(trace)}
    drivers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver", name, str(count), str(STEPS)],
            cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for name, count in sweeps
    ]  # fmt: skip
    said = [driver.communicate(timeout=600)[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0] * len(drivers), said
    return said


def test_readers_see_every_row_once_and_nothing_is_damaged(stack, env, tmp_path):
    place = "s3://sweeps/at-once"
    drive(stack, place, tmp_path, [("twice", 4), ("twice", 4), ("other", 3)])
    store = Store(Settings(place, stack.mlflow.uri, "", stack.s3.endpoint))
    sweeps = {"twice": 4, "other": 3}
    client = MlflowClient(stack.mlflow.uri)
    for name, count in sweeps.items():
        ids = {c.trial_id for c in configs(count, STEPS)}
        trials, curves = (read_table(store, table, name) for table in ("trials", "curves"))
        assert sorted(trials["trial_id"]) == sorted(ids)
        assert len(curves) == count * (STEPS // EVERY + 1)
        assert set(read_manifest(store, name).trials) == ids
        experiment = client.get_experiment_by_name(name)
        runs = client.search_runs([experiment.experiment_id])
        assert sorted(r.data.tags.get("trial_id", "") for r in runs) == ["", *sorted(ids)]
        run_of = dict(zip(trials["trial_id"], trials["run_id"], strict=True))
        assert (curves["run_id"] == curves["trial_id"].map(run_of)).all()
        for trial_id, run_id in run_of.items():
            load_snapshot(Member, store.get(snapshot_key(trial_id, STEPS, run_id)))
    assert len(read_table(store, "trials")) == max(sweeps.values())  # shared ones count once
    assert not [key for key in store.list("checkpoints") if "state" in key]
