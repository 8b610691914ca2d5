"""A sweep whose packs fail for good says so, to the user and in MLflow."""

import subprocess
import sys

import pytest

from tests.environment import user_environment
from tests.sweeps.scripts import ROOT, run_script

SWEEP = """
import json, sys, time
from mlflow import MlflowClient
from service.analysis.pending import NONE, Wish
from service.schedule.driver import run_sweep
from service.schedule.tune import SweepError
from service.settings import load_settings
from sweeps.presets import preset_configs

def break_down(*args):
    time.sleep(1)  # by then MLflow has been told that the sweep is running
    raise RuntimeError("no light")
    yield

settings = load_settings(sys.argv[1])
try:
    configs, wish = preset_configs("smoke", {}), Wish(scope=NONE)
    run_sweep("dark", configs, settings, print, wish, trainer=break_down)
except SweepError as error:
    client = MlflowClient(settings.tracking_uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "dark"]
    runs = client.search_runs([experiment.experiment_id], "tags.`grok.kind` = 'sweep'")
    print(json.dumps({"said": str(error), "status": [run.info.status for run in runs]}))
"""


def test_a_sweep_that_breaks_down_is_failed_in_mlflow(tmp_path):
    found = run_script(SWEEP, tmp_path)
    assert found["status"] == ["FAILED"]
    assert "4 of 4 trials are not done" in found["said"]
    assert "no light" in found["said"]


WITHOUT_PYTHON = """
import json, os, sys
os.environ["RAY_worker_register_timeout_seconds"] = "10"
import ray
from service.analysis.pending import NONE, Wish
from service.schedule.driver import run_sweep
from service.schedule.tune import SweepError
from service.settings import load_settings
from sweeps.presets import preset_configs

ray.init(
    address="local", num_cpus=2, include_dashboard=False, logging_level="error",
    log_to_driver=False, runtime_env={"py_executable": "/nowhere/python"},
)
try:
    configs, wish = preset_configs("smoke", {}), Wish(scope=NONE)
    run_sweep("dark", configs, load_settings(sys.argv[1]), print, wish)
except SweepError as error:
    print(json.dumps(str(error)))
"""


@pytest.mark.slow
def test_workers_that_never_start_end_a_sweep(tmp_path):
    """Ray gives each of them up after six attempts; Tune would start every pack ten times more."""
    assert "no worker of Ray starts" in run_script(WITHOUT_PYTHON, tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:head", "nowhere"])
def test_a_cluster_that_cannot_be_joined_is_named(address, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "sweeps" / "grok_phase.py"), "--preset", "smoke"], cwd=ROOT,
        env=user_environment(GROK_STORE=str(tmp_path), RAY_ADDRESS=address),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"RAY_ADDRESS = {address!r}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
