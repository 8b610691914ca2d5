"""MLflow over PostgreSQL: sixteen workers log at once, lose nothing and do not wait for each other
for ever."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from service.tracking.client import Tracking

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, THREADS, TRIALS, POINTS = 4, 4, 2, 100
WORKER = """
import sys, threading
from service.tracking.client import Tracking
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config

uri, experiment, parent, first, threads, trials, points = sys.argv[1:]
errors = []

def work(number):
    tracking = Tracking(uri, experiment, parent)
    try:
        for i in range(int(trials)):
            steps = 10 * (int(points) - 1)
            config = tiny_config(seed=100 * (int(first) + number) + i, steps=steps)
            curve = finished_curve(config)
            for part in (curve[:40], curve):
                tracking.log_curve(config, part)
            tracking.log_trial(finished_row(config), curve, {})
    except Exception as error:
        errors.append(error)

running = [threading.Thread(target=work, args=(i,)) for i in range(int(threads))]
for thread in running: thread.start()
for thread in running: thread.join()
if errors: raise errors[0]
"""


@pytest.mark.parametrize("through", ["server", "database"])
def test_sixteen_workers_at_once_lose_nothing(stack, env, through, tmp_path):
    uri = stack.mlflow.uri if through == "server" else stack.postgres.uri("mlflow")
    name = f"sixteen-{through}"
    sweep = Tracking.start(uri, name, str(tmp_path))
    started = time.monotonic()
    arguments = [uri, sweep.experiment_id, sweep.parent_id]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments,
             *(str(n) for n in (process * THREADS, THREADS, TRIALS, POINTS))],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for process in range(PROCESSES)
    ]  # fmt: skip
    for worker in workers:
        _, said = worker.communicate(timeout=240)
        assert worker.returncode == 0, said
    print(json.dumps({through: round(time.monotonic() - started, 1)}))
    client = MlflowClient(uri)
    runs = client.search_runs([sweep.experiment_id], max_results=1000)
    trials = [run for run in runs if "trial_id" in run.data.tags]
    assert len(trials) == PROCESSES * THREADS * TRIALS
    assert len({run.data.tags["trial_id"] for run in trials}) == len(trials)
    assert {run.info.status for run in trials} == {"FINISHED"}
    for run in trials[::5]:
        steps = [m.step for m in client.get_metric_history(run.info.run_id, "loss")]
        assert steps == list(range(0, 10 * POINTS, 10))
        assert run.data.params["P"] == "7"


def test_a_killed_database_keeps_what_it_acknowledged(stack, env, tmp_path):
    sweep = Tracking.start(stack.mlflow.uri, "killed-database", str(tmp_path))
    client = MlflowClient(stack.mlflow.uri)
    for step in range(20):
        client.log_metric(sweep.parent_id, "kept", float(step), step=step)
    stack.postgres.kill()
    stack.postgres.start()
    stack.postgres.wait()
    deadline = time.monotonic() + 30
    while True:
        try:
            history = client.get_metric_history(sweep.parent_id, "kept")
            break
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert [m.value for m in history] == [float(step) for step in range(20)]
