"""A sweep that takes trials over from another has of them what it would have trained itself."""

import pytest

from service.schedule.plan import Resources, make_plan
from service.schedule.reuse import adopt
from service.store import origins
from service.store.manifest import write_manifest
from service.tables.reading import done_ids
from service.tracking import marks, outbox
from service.tracking.client import Tracking
from service.worker.recorder import PICTURES
from tests.service.rows import finish
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]
IDS = {c.trial_id for c in CONFIGS}
CPU = Resources(slots=1, cpus=1.0, gpus=0.0)


def take_over(store, sweep):
    plan = make_plan(store, sweep, CONFIGS, CPU)
    write_manifest(store, sweep, plan.configs, "2")
    adopt(store, plan)


def pictures(store, sweep):
    keys = store.list(f"trial_figures/{sweep}")
    return {key.removeprefix(f"trial_figures/{sweep}/"): store.get(key) for key in keys}


ALL = {f"{i}/{name}": name.encode() for i in IDS for name in PICTURES}


def test_rows_pictures_and_where_they_are_from_are_taken_over(store):
    finish(store, "first", CONFIGS[:2], PICTURES)
    origins.add_driver(store, "first", {"device": "a machine"})
    finish(store, "second", CONFIGS[2:], PICTURES)
    take_over(store, "third")
    assert done_ids(store, "third") == IDS == set(marks.marked(store, "third"))
    assert pictures(store, "third") == ALL
    assert origins.trained_on(store, "third") == [{"device": "a machine"}]


@pytest.mark.parametrize("without", [(), PICTURES[:1]])
def test_pictures_come_from_the_sweep_that_has_them(store, without):
    finish(store, "a", CONFIGS, without)
    finish(store, "b", CONFIGS, PICTURES)
    take_over(store, "c")
    assert pictures(store, "c") == ALL


def test_trials_without_pictures_are_taken_over_all_the_same(store):
    finish(store, "first", CONFIGS, ())
    take_over(store, "second")
    assert done_ids(store, "second") == IDS
    assert pictures(store, "second") == {}


def test_mlflow_shows_the_pictures_of_a_trial_that_was_taken_over(store, settings):
    finish(store, "first", CONFIGS, PICTURES)
    take_over(store, "second")
    assert outbox.publish(settings, "second", print)
    tracking = Tracking.start(settings.tracking_uri, "second", settings.artifacts, 0)
    runs = tracking.client.search_runs([tracking.experiment_id])
    trials = [run for run in runs if "trial_id" in run.data.tags]
    assert {run.data.tags["trial_id"] for run in trials} == IDS
    for run in trials:
        files = tracking.client.list_artifacts(run.info.run_id, "figures")
        assert {file.path for file in files} == {f"figures/{name}" for name in PICTURES}
