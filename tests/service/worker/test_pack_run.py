"""One pack without Ray: what it leaves behind and reports, what a kill costs."""

import dataclasses
import math
import threading
import time

import pytest

from grokmodel.core.checkpoint import dump_state, is_snapshot_step, load_snapshot, load_state
from grokmodel.core.outcome import Evaluation
from grokmodel.data.pairs import split_pairs
from grokmodel.families import train
from grokmodel.image.pack import Member
from service.store import keys, marks
from service.store.store import Store
from service.tables.reading import read_table
from service.worker import pack_run, recorder
from service.worker.pack_run import PackJob, PreemptedError, pack_rounds
from service.worker.recorder import frozen
from tests.service.packs import run_pack
from tests.service.tiny import tiny_config

CONFIG = tiny_config()


@pytest.fixture
def make_job(settings):
    def make(*configs):
        return PackJob("sweep", settings, tuple(configs), cpus=1.0)

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
    for row, config in zip(trials.to_dict("records"), configs):
        names = store.list(f"checkpoints/{row['trial_id']}")
        steps = sorted(int(n.split("step=")[1].split("-")[0]) for n in names)
        assert steps == [0, 10, 20, 30, 40]
        last = store.get(keys.snapshot_key(row["trial_id"], 40, row["run_id"]))
        member = load_snapshot(Member, last)  # the model of the row
        assert (member.config, member.curve[-1].train_acc) == (config, row["train_acc"])
        split = split_pairs(config)
        sizes = (len(split.train), len(split.val), split.strict.sum())
        assert (row["n_train"], row["n_val"], row["n_strict"]) == sizes


def test_killed_and_run_again_equals_undisturbed(store, make_job, tmp_path):
    """Every table row of a pack that was killed twice is that of one that was not."""
    configs = [tiny_config(seed=s) for s in range(3)]
    job = make_job(*configs)
    for _ in range(2):
        with pytest.raises(KilledError):
            run_pack(job, killed_after(2))
    assert read_table(store, "trials").empty
    run_pack(job)
    disturbed = curves(store)
    whole_settings = dataclasses.replace(job.settings, store=str(tmp_path / "other"))
    run_pack(PackJob("sweep", whole_settings, job.configs, 1.0))
    assert disturbed.equals(curves(pack_run.Store(whole_settings)))


def test_a_done_trial_is_not_trained_again(store, make_job):
    job = make_job(CONFIG)
    run_pack(job)
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


@pytest.mark.parametrize("lost", ["step=40", "tables/samples", "outbox", "tables/curves"])
def test_the_row_is_written_after_all_that_it_promises(store, make_job, monkeypatch, lost):
    """Killed before one of its writes, a trial is not done: it is run again and lacks nothing."""

    def put(self, key, data):
        if lost in key:
            raise KilledError
        real(self, key, data)

    real = Store.put
    with monkeypatch.context() as killed:
        killed.setattr(Store, "put", put)
        with pytest.raises(KilledError):
            run_pack(make_job(CONFIG))
    assert read_table(store, "trials").empty
    # a resume point says that the samples up to it are written
    assert store.exists(keys.state_key(CONFIG.trial_id)) == (lost != "tables/samples")


def test_the_resume_point_of_another_config_means_a_fresh_start(store, make_job, caplog):
    other = dataclasses.replace(CONFIG, seed=1)
    store.put(keys.state_key(CONFIG.trial_id), dump_state(Member.start(other)))
    run_pack(make_job(CONFIG))
    assert f"starting trial {CONFIG.trial_id} afresh" in caplog.text
    assert list(read_table(store, "trials")["seed"]) == [CONFIG.seed]


def test_a_damaged_resume_point_means_a_fresh_start(store, make_job, caplog):
    config = tiny_config()
    store.put(keys.state_key(config.trial_id), b"\x80\x04 this could have been a pickle")
    run_pack(make_job(config))
    assert f"starting trial {config.trial_id} afresh" in caplog.text
    assert len(read_table(store, "trials")) == 1


def test_a_diverging_trial_is_a_row_and_harms_nobody(store, make_job):
    good, bad = tiny_config(seed=0), tiny_config(seed=1, lr=1e30)
    run_pack(make_job(good, bad))
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


def test_told_to_stop_while_a_round_is_recorded_it_saves_the_next_one(store, make_job, monkeypatch):
    config, stopping = tiny_config(), threading.Event()
    job = make_job(config)
    job = dataclasses.replace(job, settings=dataclasses.replace(job.settings, checkpoint_s=1e9))
    record = recorder.Recorder.record

    def signal_meanwhile(self, round_, at_once):
        record(self, round_, at_once)
        if round_.evaluated[0].step == 10:
            stopping.set()

    monkeypatch.setattr(recorder.Recorder, "record", signal_meanwhile)
    with pytest.raises(PreemptedError):
        list(pack_rounds(job, stopping))
    assert load_state(Member, store.get(keys.state_key(config.trial_id))).step == 20


def test_snapshot_steps_are_log_spaced():
    steps = [s for s in range(0, 2001, 10) if is_snapshot_step(s, 10)]
    assert steps == [0, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920]


# --- what it reports, and the store in the background --------------------------------------------


def test_a_trial_is_news_once_when_all_of_it_is_in_the_store(store, make_job):
    configs = [tiny_config(seed=s, steps=20 + 20 * s) for s in range(3)]
    rows = []

    def report(progress):
        done = set(read_table(store, "trials", "sweep")["trial_id"])
        for news in progress.news:
            if news.row is not None:
                rows.append(news.row)
                assert news.trial_id in done & set(marks.marked(store, "sweep"))
                samples = read_table(store, "samples", "sweep", [news.trial_id])
                assert set(samples["step"]) == {0, 10, 20, 30, 40, 60} & {
                    *range(news.row["steps"] + 1)
                }
                assert [r["step"] for r in news.curve] == list(range(0, news.row["steps"] + 1, 10))

    run_pack(make_job(*configs), report)
    assert sorted(row["trial_id"] for row in rows) == sorted(c.trial_id for c in configs)
    run_pack(make_job(*configs), report)  # what is done is no news
    assert len(rows) == 3


def test_curves_so_far_are_news_whenever_a_resume_point_is_saved(make_job):
    config, seen = tiny_config(), []

    def slow_trainer(*args):
        for round_ in train(*args):
            yield round_
            time.sleep(0.2)  # the writer takes its time too

    job = dataclasses.replace(make_job(config), trainer=slow_trainer)
    run_pack(job, lambda p: seen.extend(len(n.curve) for n in p.news if n.row is None))
    assert seen == sorted(set(seen))
    assert len(seen) > 3


@pytest.mark.parametrize("program", ["auto", "compiled"])
def test_steps_are_run_as_the_settings_say(make_job, program):
    asked, job = [], make_job(tiny_config())

    def trainer(*args):
        *others, mode = args
        asked.append(mode)
        return train(*others)

    settings = dataclasses.replace(job.settings, program=program)
    run_pack(dataclasses.replace(job, settings=settings, trainer=trainer))
    assert asked == [program]


@pytest.mark.parametrize(("after_s", "is_shown"), [(0.0, True), (60.0, False)])
def test_a_trial_is_shown_once_it_has_been_trained_for_a_while(
    make_job, monkeypatch, after_s, is_shown
):
    monkeypatch.setattr(recorder, "SHOWN_AFTER_S", after_s)
    job, seen = make_job(tiny_config()), []
    job = dataclasses.replace(job, settings=dataclasses.replace(job.settings, checkpoint_s=1e9))
    run_pack(job, lambda p: seen.extend(len(n.curve) for n in p.news if n.row is None))
    assert seen == [1] * is_shown


def test_no_resume_point_comes_back_after_the_row(store, make_job, monkeypatch):
    """A store so slow that resume points are still being written when their trials end."""
    put = Store.put

    def slow_put(self, key, data):
        time.sleep(0.2 if key.endswith("state.safetensors") else 0.0)
        put(self, key, data)

    monkeypatch.setattr(Store, "put", slow_put)
    configs = [tiny_config(seed=s, steps=20 + 10 * s) for s in range(4)]
    run_pack(make_job(*configs))
    assert len(read_table(store, "trials")) == 4
    assert not [key for key in store.list("checkpoints") if key.endswith("state.safetensors")]


def test_what_is_written_later_is_as_it_was_when_it_was_handed_over():
    member = Member.start(CONFIG)
    copy = frozen(member)
    member.curve.append(Evaluation(0, 1.0, 0.1, 0.1, 0.1, math.nan, 1.0))
    assert copy.curve == []
