"""One pack without Ray: what it leaves behind, and what a kill costs."""

import math

import pytest

from grokmodel.checkpoint import load_snapshot
from service import storage, worker
from service.tables import read_table
from service.tracking import Tracking
from service.worker import PackJob, run_pack
from tests.service.tiny import tiny_config


@pytest.fixture
def make_job(settings):
    tracking = Tracking.start(settings.tracking_uri, "sweep", f"{settings.store}/mlartifacts")

    def make(*configs):
        ids = (tracking.experiment_id, tracking.parent_id)
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
        steps = sorted(int(n.split("step=")[1].split(".")[0]) for n in names)
        assert steps == [0, 10, 20, 30, 40]


def test_the_last_snapshot_is_the_model_of_the_row(store, make_job):
    config = tiny_config()
    run_pack(make_job(config), lambda p: None)
    member = load_snapshot(store.get(storage.snapshot_key(config.trial_id, 40)))
    row = read_table(store, "trials").iloc[0]
    assert member.config == config
    assert member.curve[-1].train_acc == row["train_acc"]


def test_killed_and_run_again_equals_undisturbed(store, make_job, monkeypatch, tmp_path):
    """Every table row of a pack that was killed twice is that of one that was not."""
    configs = [tiny_config(seed=s) for s in range(3)]
    monkeypatch.setattr(worker, "CHECKPOINT_S", 0.0)
    job = make_job(*configs)
    for _ in range(2):
        with pytest.raises(KilledError):
            run_pack(job, killed_after(2))
    assert read_table(store, "trials").empty
    run_pack(job, lambda p: None)
    disturbed = curves(store)
    whole_settings = worker.Settings(str(tmp_path / "other"), job.settings.tracking_uri, "", None)
    whole = PackJob("sweep", whole_settings, job.experiment_id, job.parent_id, job.configs, 1.0)
    run_pack(whole, lambda p: None)
    assert disturbed.equals(curves(worker.Store(whole_settings)))


def test_a_done_trial_is_not_trained_again(store, make_job):
    job = make_job(tiny_config())
    run_pack(job, lambda p: None)
    reports = []
    run_pack(job, reports.append)
    assert reports == []


def test_a_damaged_resume_point_means_a_fresh_start(store, make_job, caplog):
    config = tiny_config()
    store.put(storage.state_key(config.trial_id), b"\x80\x04 this could have been a pickle")
    run_pack(make_job(config), lambda p: None)
    assert "starting P7 N1 w16" in caplog.text
    assert len(read_table(store, "trials")) == 1


def test_a_diverging_trial_is_a_row_and_harms_nobody(store, make_job):
    good, bad = tiny_config(seed=0), tiny_config(seed=1, lr=1e30)
    run_pack(make_job(good, bad), lambda p: None)
    phases = read_table(store, "trials").set_index("trial_id")["phase"]
    assert phases[bad.trial_id] == "diverged"
    assert phases[good.trial_id] != "diverged"
    losses = curves(store).query("trial_id == @good.trial_id")["loss"]
    assert all(math.isfinite(loss) for loss in losses)


def test_snapshot_steps_are_log_spaced():
    steps = [s for s in range(0, 2001, 10) if worker.is_snapshot_step(s, 10)]
    assert steps == [0, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920]
