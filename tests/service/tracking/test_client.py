"""MLflow against a real SQLite database: found again, never doubled, thinned."""

import json
from collections import Counter

import pytest
from mlflow import MlflowClient

from grokmodel.core.rows import MAX_POINTS, thinned
from service.data.banks import bind_images
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
        tracking.log_trial(
            finished_row(config), finished_curve(config), lambda: {"a/b.txt": b"hello"}
        )
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


def test_a_sweep_goes_on_in_the_run_that_another_driver_has_kept(tracking):
    """Which has found two runs of the sweep, and ours was the younger one."""
    kept = tracking._create("sweep", {"grok.kind": "sweep"}).info.run_id
    tracking.client.delete_run(tracking.parent_id)
    tracking.open_sweep({"fact": "known"})
    assert tracking.parent_id == kept
    assert tracking.client.get_run(kept).data.tags["fact"] == "known"


def test_a_run_that_was_made_twice_is_taken_back(tracking):
    """As when a server carries out what the client had given up."""
    config = tiny_config()
    first = tracking.trial_run(config).info.run_id
    tracking._create("late", {"trial_id": config.trial_id, "grok.kind": "trial"})
    assert len(child_runs(tracking)) == 2
    tracking.log_trial(finished_row(config), finished_curve(config), dict)
    (run,) = child_runs(tracking)
    assert run.info.run_id == first


@pytest.mark.parametrize("maker_is_first", [True, False])
def test_two_drivers_of_a_sweep_make_one_run_of_a_trial(tracking, settings, maker_is_first):
    """That of the two which made the experiment knows of no run that the other has made."""
    other = Tracking.start(settings.tracking_uri, "sweep", settings.artifacts)
    config = tiny_config()
    for driver in (tracking, other) if maker_is_first else (other, tracking):
        driver.log_trial(finished_row(config), finished_curve(config), dict)
    (run,) = child_runs(tracking)
    assert run.info.status == "FINISHED"


def test_a_trial_is_a_child_of_its_sweep_with_its_config(tracking):
    config = tiny_config(weight_decay=3, train_fraction=0.8)
    tracking.log_trial(finished_row(config), finished_curve(config), dict)
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


def test_a_trial_says_from_what_program_commit_and_images_it_comes(tracking):
    tracking.open_sweep(
        {"source.name": "sweeps/a.py", "source.type": "JOB", "git.commit": "abc+changes"}
    )
    (config,) = bind_images([tiny_config(P=11, N=1)], "data")
    for _ in range(2):
        tracking.log_trial(finished_row(config), finished_curve(config), dict)
        (run,) = child_runs(tracking)
        parent = tracking.client.get_run(tracking.parent_id)
        for tags in (run.data.tags, parent.data.tags):
            assert tags["mlflow.source.name"] == "sweeps/a.py"
            assert tags["mlflow.source.type"] == "JOB"
            assert tags["mlflow.source.git.commit"] == "abc"
            assert tags["mlflow.source.git.dirty"] == "true"
        (given,) = run.inputs.dataset_inputs
        assert given.dataset.name == "glyphs P11 N1 side8"
        assert given.dataset.digest == config.images_hash
        assert json.loads(given.dataset.source) == {"uri": "glyphs"}
        assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_one_number_per_trial_has_no_steps(tracking):
    config, numbers = tiny_config(), {"rule_fve": 0.9, "llc": None, "key_frequencies": 3.0}
    row = finished_row(config) | {"train_step": 10, "val_step_strict": 30}
    tracking.log_trial(row, finished_curve(config), dict)
    tracking.log_trial(row | numbers, finished_curve(config), dict)
    (run,) = child_runs(tracking)
    expected = {"train_step": 10, "val_step_strict": 30, "lag": 20, "steps_run": 40,
                "val_acc_strict_final": 1, "val_acc_strict_1step": 1, "train_acc_final": 1,
                "rule_fve": 0.9, "key_frequencies": 3}  # fmt: skip
    for name, value in expected.items():
        (point,) = tracking.client.get_metric_history(run.info.run_id, name)
        assert (point.step, point.value) == (0, value), name
    assert "llc" not in run.data.metrics
    never = tiny_config(seed=1)
    tracking.log_trial(finished_row(never, accuracy=0.1), finished_curve(never), dict)
    runs = {run.data.tags["trial_id"]: run for run in child_runs(tracking)}
    assert not {"lag", "train_step"} & runs[never.trial_id].data.metrics.keys()


def test_calls_per_trial(tracking, monkeypatch):
    """A trial that is watched costs eight, and two to be told of again."""
    made = Counter()

    def counted(name):
        call = getattr(MlflowClient, name)

        def calls(*args, **kwargs):
            made[name] += 1
            return call(*args, **kwargs)

        return calls

    for name in dir(MlflowClient):
        if not name.startswith("_") and callable(getattr(MlflowClient, name)):
            monkeypatch.setattr(MlflowClient, name, counted(name))
    (config,) = bind_images([tiny_config()], "data")
    row, curve = finished_row(config), finished_curve(config)
    for points in (1, 3):
        tracking.log_curve(config, curve[:points])
    tracking.log_trial(row, curve, lambda: {"a.txt": b"a"})
    assert made == {
        "create_run": 1, "log_inputs": 1, "log_batch": 3, "search_runs": 2, "set_terminated": 1,
    }  # fmt: skip
    made.clear()
    tracking.log_trial(row, curve, lambda: {"a.txt": b"a"})
    assert made == {"search_runs": 1, "log_batch": 1}


def test_points_that_are_there_are_not_sent_again(tracking, monkeypatch):
    sent, config = [], tiny_config()
    log_batch = MlflowClient.log_batch

    def watched(self, run_id, metrics=(), *rest, **more):
        sent.extend(m.step for m in metrics if m.key == "train_acc")
        return log_batch(self, run_id, metrics, *rest, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", watched)
    row, curve = finished_row(config), finished_curve(config)
    tracking.log_curve(config, curve[:2])
    for _ in range(2):
        tracking.log_trial(row, curve, dict)
    assert sent == [0, 10, 20, 30, 40]
    other = row | {"run_id": "0" * 16}  # trained again, elsewhere
    tracking.log_trial(other, curve, dict)
    assert sent[5:] == [0, 10, 20, 30, 40]


def test_what_is_there_of_a_run_that_was_deleted_is_sent_again(tracking):
    config = tiny_config()
    tracking.log_curve(config, finished_curve(config)[:3])
    (run,) = child_runs(tracking)
    tracking.client.delete_run(run.info.run_id)
    tracking.log_trial(finished_row(config), finished_curve(config), dict)
    (run,) = child_runs(tracking)
    assert len(tracking.client.get_metric_history(run.info.run_id, "train_acc")) == 5


def test_a_sweep_shows_its_axes_and_how_far_it_is(tracking):
    def show(configs, **phases):
        configs = [config.to_dict() for config in configs]
        tracking.log_sweep({}, "words", configs, phases, None)
        experiment = tracking.client.get_experiment(tracking.experiment_id)
        view = json.loads(experiment.tags["mlflow.sharedViewState.trials"])
        return tracking.client.get_run(tracking.parent_id), json.loads(view["state"])

    few = bind_images([tiny_config(weight_decay=d) for d in (1, 3)], "data")
    for _ in range(2):
        run, state = show(few)
        assert run.data.params == {"weight_decay": "1, 3"}
        assert run.data.metrics == {"trials_done": 0, "trials_total": 2}
        assert [each.dataset.digest for each in run.inputs.dataset_inputs] == [few[0].images_hash]
        assert state["orderByKey"] == "metrics.`val_acc_strict`"
        assert state["orderByAsc"] is False
        assert state["selectedColumns"] == [
            "tags.`phase`", "metrics.`val_acc_strict`", "params.`weight_decay`"
        ]  # fmt: skip
    more = [tiny_config(weight_decay=d, lr=lr) for d in (0, 1, 3) for lr in (1e-3, 2e-3)]
    run, state = show(more, grokking=1, confusion=3)
    assert run.data.params == {"weight_decay": "1, 3", "lr": "0.001, 0.002"}  # MLflow changes none
    assert run.data.tags["axis.weight_decay"] == "0, 1, 3"
    assert state["selectedColumns"][2:] == ["params.`lr`", "params.`weight_decay`"]
    shares = {"confusion": 0.75, "grokking": 0.25}
    shares |= dict.fromkeys(("comprehension", "memorization", "diverged"), 0.0)
    assert run.data.metrics == {
        "trials_done": 4, "trials_total": 6, **{f"share_{k}": v for k, v in shares.items()}
    }  # fmt: skip
    tracking.log_progress({"grokking": 5}, 6)
    run = tracking.client.get_run(tracking.parent_id)
    assert run.data.metrics["share_grokking"] == 1
    assert run.data.metrics["trials_done"] == 5
