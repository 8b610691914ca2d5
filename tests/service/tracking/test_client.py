"""MLflow against a real SQLite database: found again, never doubled, thinned."""

import pytest
from mlflow import MlflowClient

from service.tables.rows import MAX_POINTS, thinned
from service.tracking.client import Tracking
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


def child_runs(tracking):
    found = tracking.client.search_runs([tracking.experiment_id], "tags.`grok.kind` = 'trial'")
    return list(found)


def test_logging_twice_changes_nothing(tracking):
    config = tiny_config()
    seen = []
    for _ in range(2):
        tracking.log_curve(config, finished_curve(config)[:3])
        tracking.log_trial(finished_row(config), finished_curve(config), {"a/b.txt": b"hello"})
        (run,) = child_runs(tracking)
        history = tracking.client.get_metric_history(run.info.run_id, "train_acc")
        # the same each time it is sent, and a time to those who look
        assert [p.timestamp - p.step for p in history] == [run.info.start_time] * 5
        seen.append((run.to_dictionary(), [(p.step, p.timestamp, p.value) for p in history]))
    assert seen[0] == seen[1]
    assert [step for step, _, _ in seen[0][1]] == [0, 10, 20, 30, 40]
    assert run.info.status == "FINISHED"


def test_a_curve_is_watched_while_it_grows(tracking):
    config = tiny_config()
    for points in (0, 2, 2, 5):
        tracking.log_curve(config, finished_curve(config)[:points])
        (run,) = child_runs(tracking)
        history = tracking.client.get_metric_history(run.info.run_id, "train_acc")
        assert [point.step for point in history] == [10 * k for k in range(points)]
    assert run.info.status == "RUNNING"
    assert run.data.params == {k: str(v) for k, v in config.to_dict().items()}


def test_a_run_that_was_made_twice_is_taken_back(tracking):
    """As when a server carries out what the client had given up."""
    config = tiny_config()
    first = tracking.trial_run(config).info.run_id
    tracking._create("late", {"trial_id": config.trial_id, "grok.kind": "trial"})
    assert len(child_runs(tracking)) == 2
    tracking.log_trial(finished_row(config), finished_curve(config), {})
    (run,) = child_runs(tracking)
    assert run.info.run_id == first


def test_a_trial_is_a_child_of_its_sweep_with_its_config(tracking):
    config = tiny_config(weight_decay=3, train_fraction=0.8)
    tracking.log_trial(finished_row(config), finished_curve(config), {})
    (run,) = child_runs(tracking)
    assert run.info.run_name == "s0 P7 N1 w16 wd3 R0.8"
    assert run.data.tags["mlflow.parentRunId"] == tracking.parent_id
    assert run.data.tags["trial_id"] == config.trial_id
    assert run.data.tags["phase"] == finished_row(config)["phase"]
    assert run.data.params == {k: str(v) for k, v in config.to_dict().items()}


def test_a_second_start_finds_the_same_experiment_and_parent(tracking, settings):
    again = Tracking.start(settings.tracking_uri, "sweep", settings.artifacts)
    assert (again.experiment_id, again.parent_id) == (tracking.experiment_id, tracking.parent_id)
    assert len(tracking.client.search_runs([tracking.experiment_id])) == 1


def test_a_deleted_experiment_is_restored(tracking, settings):
    MlflowClient(settings.tracking_uri).delete_experiment(tracking.experiment_id)
    again = Tracking.start(settings.tracking_uri, "sweep", settings.artifacts)
    assert again.experiment_id == tracking.experiment_id


@pytest.mark.parametrize("n", [1, 5, MAX_POINTS, MAX_POINTS + 1, 5000])
def test_thinning_keeps_both_ends_and_few_points(n):
    rows = [{"step": k} for k in range(n)]
    kept = [row["step"] for row in thinned(rows)]
    assert kept[0] == 0
    assert kept[-1] == n - 1
    assert len(kept) <= MAX_POINTS
    assert kept == sorted(set(kept))
