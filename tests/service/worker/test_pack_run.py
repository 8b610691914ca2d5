"""One pack without Ray: what it leaves behind, what a kill costs, what a server cannot cost."""

import dataclasses
import itertools
import math
import threading
import time

import pytest
from mlflow import MlflowClient

from grokmodel.core.checkpoint import load_snapshot, load_state
from grokmodel.image.pack import Member
from grokmodel.image.training import train
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table
from service.tracking import client, outbox
from service.tracking.client import Tracking
from service.worker import pack_run
from service.worker.pack_run import PackJob, PreemptedError, pack_rounds, run_pack
from tests.service.tiny import tiny_config
from tests.tracking_servers import MlflowServer, dead_server, hanging_server

CONFIG = tiny_config()


@pytest.fixture
def make_job(settings):
    sweep = Tracking.start(settings.tracking_uri, "sweep", f"{settings.store}/mlartifacts")

    def make(*configs):
        ids = (sweep.experiment_id, sweep.parent_id)
        return PackJob("sweep", settings, *ids, tuple(configs), cpus=1.0)

    return make


class KilledError(Exception):
    pass


def killed_after(rounds):
    """A report that ends the worker as a kill would, after some rounds of evaluations."""
    seen = []

    def report(progress):
        seen.append(progress)
        if len(seen) == rounds:
            raise KilledError

    return report


def curves(store):
    frame = read_table(store, "curves").sort_values(["trial_id", "step"], ignore_index=True)
    return frame.drop(columns="sweep")


def test_a_finished_pack_leaves_rows_snapshots_and_no_resume_points(store, make_job):
    configs = [tiny_config(seed=0), tiny_config(seed=1, weight_decay=3)]
    reports = []
    run_pack(make_job(*configs), reports.append)
    trials = read_table(store, "trials", "sweep")
    assert set(trials["trial_id"]) == {c.trial_id for c in configs}
    assert list(trials["steps_run"]) == [40, 40]
    assert reports[-1].steps == 80
    assert set(reports[-1].phases) == {c.trial_id for c in configs}
    for config in configs:
        names = store.list(f"checkpoints/{config.trial_id}")
        steps = sorted(int(n.split("step=")[1].split("-")[0]) for n in names)
        assert steps == [0, 10, 20, 30, 40]


def test_the_last_snapshot_is_the_model_of_the_row(store, make_job):
    config = tiny_config()
    run_pack(make_job(config), lambda p: None)
    row = read_table(store, "trials").iloc[0]
    key = keys.snapshot_key(config.trial_id, 40, row["run_id"])
    member = load_snapshot(Member, store.get(key))
    assert member.config == config
    assert member.curve[-1].train_acc == row["train_acc"]


def test_killed_and_run_again_equals_undisturbed(store, make_job, tmp_path):
    """Every table row of a pack that was killed twice is that of one that was not."""
    configs = [tiny_config(seed=s) for s in range(3)]
    job = make_job(*configs)
    for _ in range(2):
        with pytest.raises(KilledError):
            run_pack(job, killed_after(2))
    assert read_table(store, "trials").empty
    run_pack(job, lambda p: None)
    disturbed = curves(store)
    whole_settings = dataclasses.replace(job.settings, store=str(tmp_path / "other"))
    whole = PackJob("sweep", whole_settings, job.experiment_id, job.parent_id, job.configs, 1.0)
    run_pack(whole, lambda p: None)
    assert disturbed.equals(curves(pack_run.Store(whole_settings)))


def test_a_done_trial_is_not_trained_again(store, make_job):
    job = make_job(CONFIG)
    run_pack(job, lambda p: None)
    before = store.entries("checkpoints")
    reports = []
    run_pack(job, reports.append)
    assert store.entries("checkpoints") == before
    # whoever counts may never have heard of it: its worker was lost between the row and the word
    assert [(r.steps, r.restored, list(r.phases)) for r in reports] == [(40, 40, [CONFIG.trial_id])]


def test_a_trial_counts_as_done_when_its_row_is_written(make_job, monkeypatch):
    """However long its store takes."""
    written, put = threading.Event(), Store.put

    def slow(self, key, data):
        if "tables/trials" in key:
            time.sleep(1.0)
        put(self, key, data)
        if "tables/trials" in key:
            written.set()

    monkeypatch.setattr(Store, "put", slow)
    monkeypatch.setattr(pack_run, "REPORT_S", 0.1)
    reports = []
    run_pack(make_job(CONFIG), lambda p: reports.append((written.is_set(), len(p.phases))))
    assert (False, 1) not in reports
    assert reports.count((False, 0)) > 5  # it is heard of while it waits
    assert reports[-1] == (True, 1)


def test_a_worker_names_its_runs_by_what_the_sweep_varies(settings, make_job):
    run_pack(dataclasses.replace(make_job(tiny_config(lr=2e-3)), axes=("lr",)), lambda p: None)
    runs = MlflowClient(settings.tracking_uri).search_runs(["1"], "tags.`grok.kind` = 'trial'")
    assert [run.info.run_name for run in runs] == ["P7 N1 w16 wd1 R0.6 s0 lr=0.002"]


def test_a_damaged_resume_point_means_a_fresh_start(store, make_job, caplog):
    config = tiny_config()
    store.put(keys.state_key(config.trial_id), b"\x80\x04 this could have been a pickle")
    run_pack(make_job(config), lambda p: None)
    assert f"starting trial {config.trial_id} afresh" in caplog.text
    assert len(read_table(store, "trials")) == 1


def test_a_diverging_trial_is_a_row_and_harms_nobody(store, make_job):
    good, bad = tiny_config(seed=0), tiny_config(seed=1, lr=1e30)
    run_pack(make_job(good, bad), lambda p: None)
    phases = read_table(store, "trials").set_index("trial_id")["phase"]
    assert phases[bad.trial_id] == "diverged"
    assert phases[good.trial_id] != "diverged"
    losses = curves(store).query("trial_id == @good.trial_id")["loss"]
    assert all(math.isfinite(loss) for loss in losses)


def test_told_to_stop_it_saves_what_it_has_and_ends(store, make_job):
    """As at SIGTERM: the round that was being made is not lost, however long ago the last save."""
    config = tiny_config()
    job = make_job(config)
    job = dataclasses.replace(job, settings=dataclasses.replace(job.settings, checkpoint_s=1e9))
    stopping = threading.Event()
    rounds = pack_rounds(job, stopping)
    assert [next(rounds).steps for _ in range(2)] == [0, 10]
    stopping.set()
    with pytest.raises(PreemptedError):
        next(rounds)
    assert load_state(Member, store.get(keys.state_key(config.trial_id))).step == 20
    assert next(pack_rounds(job, threading.Event())).steps == 30


def test_snapshot_steps_are_log_spaced():
    steps = [s for s in range(0, 2001, 10) if keys.is_snapshot_step(s, 10)]
    assert steps == [0, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920]


# --- the store and MLflow in the background ------------------------------------------------------


def slow_trainer(members, banks, decoders, device):
    """Trains for about two seconds, however fast the machine."""
    for round_ in train(members, banks, decoders, device):
        time.sleep(0.4)
        yield round_


def test_pictures_and_a_marker_lie_in_the_store_before_mlflow_has_them(store, make_job):
    config = tiny_config()
    run_pack(dataclasses.replace(make_job(config), settings=away(store)), lambda p: None)
    for name in ("curve.png", "samples.png"):
        data = store.get(keys.trial_figure_key("sweep", config.trial_id, name))
        assert data.startswith(b"\x89PNG")
    assert outbox.marked(store, "sweep") == [config.trial_id]


def away(store):
    return pack_run.Settings(store.url, dead_server(), "", None)


def test_no_resume_point_comes_back_after_the_row(store, make_job, monkeypatch):
    """A store so slow that resume points are still being written when their trials end."""
    put = Store.put

    def slow_put(self, key, data):
        time.sleep(0.2 if key.endswith("state.safetensors") else 0.0)
        put(self, key, data)

    monkeypatch.setattr(Store, "put", slow_put)
    configs = [tiny_config(seed=s, steps=20 + 10 * s) for s in range(4)]
    run_pack(make_job(*configs), lambda p: None)
    assert len(read_table(store, "trials")) == 4
    assert not [key for key in store.list("checkpoints") if key.endswith("state.safetensors")]


def test_an_error_of_the_store_ends_the_pack(make_job, monkeypatch):
    put = Store.put

    def full(self, key, data):
        if "step=20-" in key:
            raise OSError("disk full")
        put(self, key, data)

    monkeypatch.setattr(Store, "put", full)
    with pytest.raises(OSError, match="disk full"):
        run_pack(make_job(tiny_config(steps=400)), lambda p: None)


def test_the_thread_that_trains_makes_no_mlflow_call(make_job, monkeypatch):
    callers = set()

    class Watched(MlflowClient):
        def __getattribute__(self, name):
            callers.add(threading.current_thread().name)
            return super().__getattribute__(name)

    monkeypatch.setattr(client, "MlflowClient", Watched)
    job = dataclasses.replace(make_job(tiny_config()), trainer=slow_trainer)
    run_pack(job, lambda p: None)
    assert callers == {"publisher-0"}


@pytest.mark.parametrize("kind", ["hanging", "dead"])
def test_a_server_that_does_not_answer_costs_no_time(store, make_job, kind):
    with hanging_server() as hanging:
        uri = hanging if kind == "hanging" else dead_server()
        settings = pack_run.Settings(store.url, uri, "", checkpoint_s=0.0)
        job = dataclasses.replace(make_job(tiny_config()), settings=settings, trainer=slow_trainer)
        reports = []
        run_pack(job, lambda p: reports.append(time.monotonic()))
        ended = time.monotonic()
    assert ended - reports[-1] < 8  # rows, pictures and a short last wait; a call takes 15 s
    gaps = [b - a for a, b in itertools.pairwise(reports)]
    assert max(gaps) < 6  # 0.4 s are asked for; a call would take the server's 15 s
    assert len(read_table(store, "trials")) == 1


def test_a_server_killed_while_a_pack_trains_has_everything_in_the_end(settings, store, tmp_path):
    configs = [tiny_config(seed=s, steps=40 + 20 * s) for s in range(3)]
    with MlflowServer(tmp_path) as server:
        settings = dataclasses.replace(settings, tracking_uri=server.uri)
        sweep = Tracking.start(server.uri, "sweep", f"{settings.store}/mlartifacts")
        ids = (sweep.experiment_id, sweep.parent_id)
        job = PackJob("sweep", settings, *ids, tuple(configs), 1.0, slow_trainer)
        rounds = []

        def report(progress):
            rounds.append(progress)
            if len(rounds) == 3:
                server.kill()
            if len(rounds) == 7:
                server.start()

        run_pack(job, report)
        assert len(rounds) > 7
        assert outbox.publish(settings, "sweep", print, 10.0)
        assert outbox.marked(store, "sweep") == []
        runs = sweep.client.search_runs([sweep.experiment_id], "tags.`grok.kind` = 'trial'")
        assert sorted(r.data.tags["trial_id"] for r in runs) == sorted(c.trial_id for c in configs)
        for run in runs:
            (config,) = [c for c in configs if c.trial_id == run.data.tags["trial_id"]]
            history = sweep.client.get_metric_history(run.info.run_id, "val_acc")
            assert [p.step for p in history] == list(range(0, config.steps + 1, 10))
            assert run.info.status == "FINISHED"
            assert run.data.params == {k: str(v) for k, v in config.to_dict().items()}
            files = {f.path for f in sweep.client.list_artifacts(run.info.run_id, "figures")}
            assert files == {"figures/curve.png", "figures/samples.png"}
