"""What workers report reaches MLflow by the driver alone; a server that is away costs no time."""

import dataclasses
import itertools
import pickle
import threading
import time

import pytest
from mlflow import MlflowClient

from grokmodel.families import train
from service.schedule import tune
from service.schedule.plan import Plan
from service.schedule.tune import Shown
from service.store import marks
from service.store.manifest import write_manifest
from service.tables.reading import read_table
from service.tracking import experiment, outbox
from service.tracking.client import Tracking
from service.tracking.publisher import Publisher
from service.worker.pack_run import PackJob
from tests.service.packs import run_pack
from tests.service.tiny import tiny_config
from tests.tracking_servers import MlflowServer, dead_server, hanging_server


def slow_trainer(members, inputs, device, mode):
    """Trains for about two seconds, however fast the machine."""
    for round_ in train(members, inputs, device):
        time.sleep(0.4)
        yield round_


def shown(store, configs, publisher):
    return Shown(store, Plan("sweep", tuple(configs), (), (), (tuple(configs),)), publisher)


def run_shown(settings, callback, configs, report=lambda: None):
    """Train a pack and hand on what it reports, as Tune does; the times of the reports."""
    times = []

    def hand_on(progress):
        times.append(time.monotonic())
        callback.on_trial_result(0, [], None, vars(progress))
        report()

    run_pack(PackJob("sweep", settings, tuple(configs), 1.0, slow_trainer), hand_on)
    return times


def test_the_thread_that_takes_reports_makes_no_mlflow_call(settings, store, tracking, monkeypatch):
    callers = set()

    class Watched(MlflowClient):
        def __getattribute__(self, name):
            callers.add(threading.current_thread().name)
            return super().__getattribute__(name)

    monkeypatch.setattr(experiment, "MlflowClient", Watched)
    configs = [tiny_config()]
    again = Tracking(tracking.uri, tracking.experiment_id, tracking.parent_id)
    with Publisher(again) as publisher:
        run_shown(settings, shown(store, configs, publisher), configs)
        assert publisher.drain(60) == 0
    assert callers == {"publisher-0"}
    assert marks.marked(store, "sweep") == []


@pytest.mark.parametrize("kind", ["hanging", "dead"])
def test_a_server_that_does_not_answer_costs_no_time(settings, store, kind):
    configs = [tiny_config()]
    with hanging_server() as hanging:
        uri = hanging if kind == "hanging" else dead_server()
        with Publisher(Tracking(uri, "1", "2")) as publisher:
            times = run_shown(settings, shown(store, configs, publisher), configs)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert max(gaps) < 6  # 0.4 s are asked for; a call would take the server's 15 s
    assert len(read_table(store, "trials")) == 1
    assert marks.marked(store, "sweep") == [configs[0].trial_id]


@pytest.mark.cluster
def test_a_server_killed_while_a_pack_trains_has_everything_in_the_end(settings, store, tmp_path):
    configs = [tiny_config(seed=s, steps=40 + 20 * s) for s in range(3)]
    with MlflowServer(tmp_path) as server:
        settings = dataclasses.replace(settings, tracking_uri=server.uri)
        sweep = Tracking.start(server.uri, "sweep", settings.artifacts)
        rounds = itertools.count(1)

        def report():
            made = next(rounds)
            if made == 3:
                server.kill()
            if made == 7:
                server.start()

        with Publisher(sweep) as publisher:
            run_shown(settings, shown(store, configs, publisher), configs, report)
        assert next(rounds) > 8
        assert outbox.publish(settings, "sweep", print)
        assert marks.marked(store, "sweep") == []
        runs = sweep.client.search_runs([sweep.experiment_id], "tags.`grok.kind` = 'trial'")
        assert sorted(r.data.tags["trial_id"] for r in runs) == sorted(c.trial_id for c in configs)
        for run in runs:
            (config,) = [c for c in configs if c.trial_id == run.data.tags["trial_id"]]
            history = sweep.client.get_metric_history(run.info.run_id, "val_acc")
            assert [p.step for p in history] == list(range(0, config.steps + 1, 10))
            assert run.info.status == "FINISHED"


def test_what_waits_for_a_server_that_is_away_is_bounded(settings, store, monkeypatch):
    monkeypatch.setattr(tune, "MOST_WAITING", 1)
    configs = [tiny_config(seed=s) for s in range(3)]
    with Publisher(Tracking(dead_server(), "1", "2")) as publisher:
        run_shown(settings, shown(store, configs, publisher), configs)
        assert publisher.waiting <= 1
    assert len(marks.marked(store, "sweep")) == 3  # and sent in the end


def test_how_far_a_sweep_is_is_told_while_it_trains(settings, store, tracking, monkeypatch):
    monkeypatch.setattr(tune, "PROGRESS_EVERY_S", 0.0)
    configs = [tiny_config(seed=s, steps=20 + 60 * s) for s in range(2)]
    write_manifest(store, "sweep", configs, tracking.experiment_id)
    with Publisher(tracking) as publisher:
        run_shown(settings, shown(store, configs, publisher), configs)
        assert publisher.drain(60) == 0
    run = tracking.client.get_run(tracking.parent_id)
    assert run.data.metrics["trials_total"] == 2
    told = tracking.client.get_metric_history(tracking.parent_id, "trials_done")
    assert {point.value for point in told} & {0, 1}  # before the end too


def test_tune_may_note_it_down(store, tracking):
    """As it does with all that it calls back; MLflow's threads cannot be written down."""
    with Publisher(tracking) as publisher:
        publisher.offer("a", lambda tracking: None)
        pickle.dumps(shown(store, [], publisher))
