"""What MLflow lacks is marked, sent later, sent once."""

import dataclasses
import time
from pathlib import Path

import pytest

from service.analysis.pending import NONE, Wish
from service.cli.commands import main
from service.data.banks import bind_images
from service.schedule.drawing import draw_sweep
from service.schedule.driver import run_sweep
from service.store import marks
from service.store.store import Store
from service.tracking import outbox
from service.tracking.client import Tracking, TrackingError
from service.tracking.publisher import Publisher
from tests.service.rows import finish, finished_curve, finished_row
from tests.service.tiny import tiny_config
from tests.tracking_servers import dead_server, hanging_server

CONFIGS = bind_images([tiny_config(seed=s) for s in range(3)], "data")
IDS = {c.trial_id for c in CONFIGS}


@pytest.fixture
def sweep(store, settings):
    """A store with three finished trials that MLflow knows nothing of."""
    finish(store, "mine", CONFIGS)
    draw_sweep(store, "mine", settings)
    marks.mark(store, "mine", [marks.SWEEP, *IDS])
    return store


def start(settings):
    return Tracking.start(settings.tracking_uri, "mine", settings.artifacts, 0)


def state_of(settings):
    """All that MLflow says of the sweep."""
    tracking = start(settings)
    out = {}
    for run in tracking.client.search_runs([tracking.experiment_id]):
        history = tracking.client.get_metric_history(run.info.run_id, "val_acc")
        files = tracking.client.list_artifacts(run.info.run_id)
        out[run.info.run_id] = (
            run.to_dictionary(),
            [(p.step, p.timestamp) for p in history],
            sorted(f.path for f in files),
        )
    return out


def assert_complete(settings):
    runs = [run for run, _, _ in state_of(settings).values()]
    trials = {r["data"]["tags"]["trial_id"] for r in runs if "trial_id" in r["data"]["tags"]}
    assert trials == IDS
    assert len(runs) == 4
    assert {run["info"]["status"] for run in runs} == {"FINISHED"}


def test_all_that_is_marked_is_sent_and_unmarked(sweep, settings, capsys):
    marks.mark(sweep, "mine", [marks.SWEEP, *IDS])  # twice is once
    assert marks.marked(sweep, "mine") == sorted([marks.SWEEP, *IDS])
    assert outbox.publish(settings, "mine", print)
    assert marks.marked(sweep, "mine") == []
    assert not list(Path(sweep.path("outbox/mine")).iterdir())  # nor a folder for every trial
    assert_complete(settings)
    for run, history, files in state_of(settings).values():
        if "trial_id" in run["data"]["tags"]:
            assert [step for step, _ in history] == [0, 10, 20, 30, 40]
            assert files == ["checkpoint"]
            assert run["data"]["params"]["width"] == "16"
        else:
            assert "plan.json" in files
    assert capsys.readouterr().out == ""


def test_what_is_sent_later_is_named_by_what_the_sweep_varies(store, settings):
    configs = [tiny_config(lr=lr) for lr in (1e-3, 2e-3)]
    finish(store, "mine", configs)
    marks.mark(store, "mine", [c.trial_id for c in configs])
    assert outbox.publish(settings, "mine", print)
    names = {run["info"]["run_name"] for run, _, _ in state_of(settings).values()}
    assert names == {"mine", "lr=0.001 s0", "lr=0.002 s0"}


def test_sending_all_twice_changes_nothing(sweep, settings):
    outbox.publish(settings, "mine", print)
    before = state_of(settings)
    assert main(["publish", "--sweep", "mine", "--all", "--store", sweep.url]) == 0
    after = state_of(settings)
    for state in (before, after):  # when a sweep ended may be told anew
        for run, _, _ in state.values():
            if "trial_id" not in run["data"]["tags"]:
                del run["info"]["end_time"]
    assert before == after


def test_a_trial_cut_short_before_its_row_is_not_sent(sweep, settings):
    marks.mark(sweep, "mine", ["0123456789abcdef"])
    assert outbox.publish(settings, "mine", print)
    assert_complete(settings)


def test_what_changes_while_it_is_sent_stays_marked(sweep, settings):
    tracking, row = start(settings), finished_row(CONFIGS[0])

    class Drawing(Tracking):
        def log_files(self, run_id, files):
            super().log_files(run_id, files)
            marks.mark(sweep, "mine", [row["trial_id"]])

    slow = Drawing(tracking.uri, tracking.experiment_id, tracking.parent_id)
    outbox.send_trial(sweep, "mine", row, finished_curve(CONFIGS[0]), slow)
    assert row["trial_id"] in marks.marked(sweep, "mine")


def test_a_mark_that_comes_while_another_is_taken_off_stays(sweep, settings, monkeypatch):
    """However late: here when nothing is left to do but to delete."""
    row, delete = finished_row(CONFIGS[0]), Store.delete
    name = row["trial_id"]

    def marked_meanwhile(self, key):
        marks.mark(sweep, "mine", [name])
        delete(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "delete", marked_meanwhile)
        outbox.send_trial(sweep, "mine", row, finished_curve(CONFIGS[0]), start(settings))
    assert name in marks.marked(sweep, "mine")
    outbox.send_trial(sweep, "mine", row, finished_curve(CONFIGS[0]), start(settings))
    assert name not in marks.marked(sweep, "mine")


def test_without_a_server_one_line_says_what_is_lacking_and_how_to_send_it(sweep, settings):
    said, uri = [], dead_server()
    away = dataclasses.replace(settings, tracking_uri=uri)
    assert not outbox.publish(away, "mine", said.append)
    (line,) = said
    for part in (uri, "3 trials of mine", "complete", "grok publish --sweep mine"):
        assert part in line
    assert set(marks.marked(sweep, "mine")) == {marks.SWEEP, *IDS}


def test_a_server_that_went_away_ends_the_sending_within_its_bound(sweep, settings, monkeypatch):
    monkeypatch.setattr(outbox, "PATIENCE_S", 1.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    said = []
    with hanging_server() as uri, Publisher(Tracking(uri, "1", "2")) as publisher:
        started = time.monotonic()
        assert not outbox.flush(sweep, "mine", publisher, said.append)
        assert time.monotonic() - started < 20  # MLflow alone tries for minutes
    assert "does not answer" in said[-1]
    assert "3 trials of mine" in said[-1]


def test_a_complete_sweep_that_is_run_again_sends_what_is_marked(sweep, settings):
    said = []
    result = run_sweep("mine", CONFIGS, settings, said.append, Wish(scope=NONE))
    assert said == ["sweep mine: all 3 trials are done already"]
    assert len(result.trials) == 3
    assert marks.marked(sweep, "mine") == []
    assert_complete(settings)


def test_a_complete_sweep_is_complete_without_a_server(sweep, settings):
    said = []
    away = dataclasses.replace(settings, tracking_uri=dead_server())
    assert len(run_sweep("mine", CONFIGS, away, said.append, Wish(scope=NONE)).trials) == 3
    assert "3 trials of mine are not shown there yet" in said[-1]


def test_a_start_without_a_server_is_one_error_that_names_it(settings, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with hanging_server() as uri:
        hanging = dataclasses.replace(settings, tracking_uri=uri)
        with pytest.raises(TrackingError, match=uri):
            start(hanging)
