"""A sweep whose packs fail for good says so, to the user and in MLflow."""

from tests.sweeps.scripts import run_script

SWEEP = """
import json, sys, time
from mlflow import MlflowClient
from service.runner import run_sweep
from service.training import SweepError
from service.settings import load_settings
from sweeps.presets import preset_configs

def break_down(*args):
    time.sleep(1)  # by then MLflow has been told that the sweep is running
    raise RuntimeError("no light")
    yield

settings = load_settings(sys.argv[1])
try:
    run_sweep("dark", preset_configs("smoke", {}), settings, print, "none", trainer=break_down)
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
