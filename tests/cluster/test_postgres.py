"""MLflow over PostgreSQL: drivers log at once, lose nothing and do not wait for each other for
ever; what was acknowledged is kept."""

from functools import partial

import pytest
from mlflow import MlflowClient

from service.tracking.client import Tracking
from service.tracking.publisher import Publisher
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config

pytestmark = pytest.mark.cluster

DRIVERS, TRIALS, POINTS = 2, 12, 100


def send(config, tracking):
    """All of a trial, as a driver does it in one message or more."""
    curve = finished_curve(config)
    for part in (curve[:40], curve):
        tracking.log_curve(config, part)
    tracking.log_trial(finished_row(config), curve, dict)


@pytest.mark.parametrize("through", ["server", "database"])
def test_drivers_at_once_lose_nothing(stack, env, through, tmp_path):
    uri = stack.mlflow.uri if through == "server" else stack.postgres.uri("mlflow")
    sweep = Tracking.start(uri, f"at-once-{through}", str(tmp_path))
    tracking = [Tracking(uri, sweep.experiment_id, sweep.parent_id) for _ in range(DRIVERS)]
    drivers = [Publisher(each) for each in tracking]
    for seed in range(DRIVERS * TRIALS):
        config = tiny_config(seed=seed, steps=10 * (POINTS - 1))
        drivers[seed % DRIVERS].offer(config.trial_id, partial(send, config))
    for driver in drivers:
        assert driver.drain(240) == 0
        driver.close()
    client = MlflowClient(uri)
    runs = client.search_runs([sweep.experiment_id], max_results=1000)
    trials = [run for run in runs if "trial_id" in run.data.tags]
    assert len(trials) == DRIVERS * TRIALS
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
    history = sweep.retry(lambda: client.get_metric_history(sweep.parent_id, "kept"), 30.0)
    assert [m.value for m in history] == [float(step) for step in range(20)]
