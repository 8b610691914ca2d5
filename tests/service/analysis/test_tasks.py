"""From checkpoints to rows without Ray: what is done once, what a bad checkpoint costs."""

import dataclasses
import pickle
import shutil

import pandas as pd
import pytest

from grokmodel.core.checkpoint import FORMAT, dump_snapshot, load_snapshot
from grokmodel.image.pack import Member
from grokmodel.image.training import train as train_pack
from service.analysis import tasks
from service.analysis.drawing import draw_trials
from service.analysis.pending import NONE, QUICK, Todo, Wish, batches, missing
from service.analysis.registry import ANALYSES, BY_NAME
from service.analysis.tasks import Job, analysis_task, to_do
from service.report.trial_figures import TRIAL_FIGURES
from service.settings import Settings
from service.store import keys
from service.store.store import Store
from service.tables import reading
from service.tables.reading import read_table, write_rows
from service.tables.schema import TABLES
from service.tables.typical import representatives
from service.tracking import marks, outbox
from service.tracking.client import Tracking
from service.tracking.publisher import Publisher
from service.worker.pack_run import PackJob, run_pack
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=0), tiny_config(seed=1, weight_decay=3)]
FAST = Wish(names=("heads", "basins"))
"""One analysis of the last checkpoint, one over training, and no figure to draw."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The settings of a sweep of two trained trials, made once."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "store").mkdir()
    settings = settings_in(folder)
    train(settings, Store(settings), "sweep", CONFIGS)
    return settings


@pytest.fixture
def settings(template, tmp_path):
    """Those of a copy of its store, with the tracking database in it."""
    shutil.copytree(template.store, tmp_path / "store")
    return settings_in(tmp_path)


def settings_in(folder):
    return Settings(str(folder / "store"), f"sqlite:///{folder}/store/mlflow.db", "", None)


@pytest.fixture
def trained(settings, store):
    """A function that does the analyses which the sweep lacks, in this process."""
    return train(settings, store, "sweep", CONFIGS)


def train(settings, store, sweep, configs):
    tracking = Tracking.start(settings.tracking_uri, sweep, f"{settings.store}/mlartifacts")
    run_pack(PackJob(sweep, settings, tuple(configs), cpus=1.0), lambda p: None)

    def analyse(wish=FAST):
        job = Job(sweep, settings, wish)
        return [analysis_task(job, batch) for batch in batches(to_do(job), size=8)]

    analyse.ids = [c.trial_id for c in configs]
    analyse.tracking = tracking
    with Publisher(tracking) as publisher:
        assert outbox.flush(Store(settings), sweep, publisher, print)
    return analyse


def parts(store):
    """Name and time of every file of the tables."""
    keys = store.list("tables")
    return {k: store.fs.get_file_info(store.path(k)).mtime_ns for k in keys}


def test_what_another_process_does_meanwhile_is_left_out(trained, settings, store, monkeypatch):
    job = Job("sweep", settings, FAST)
    adopt = tasks.adopt

    def overtaken(*args):
        found = adopt(*args)
        monkeypatch.setattr(tasks, "adopt", adopt)
        trained()  # the other process, which ends between two readings
        return found

    monkeypatch.setattr(tasks, "adopt", overtaken)
    assert to_do(job) == []


# --- what is done, and done once -----------------------------------------------------------------


def test_all_analyses_of_a_trial_fill_all_tables_and_draw_all_figures(trained, store):
    (report,) = trained(Wish())
    assert report.trials == 2
    assert report.failures == ()
    for name in (table for a in ANALYSES for table in a.tables):
        frame = read_table(store, name, "sweep")
        assert set(frame["trial_id"]) == set(trained.ids), name
        assert not frame.duplicated(list(TABLES[name].key)).any(), name
    for trial_id in trained.ids:
        figures = {k.rsplit("/", 1)[-1] for k in store.list(f"trial_figures/sweep/{trial_id}")}
        assert figures == {f"{name}.png" for name in (*TRIAL_FIGURES, "curve", "samples")}
    assert set(marks.marked(store, "sweep")) == set(trained.ids)


@pytest.fixture
def calls(monkeypatch):
    """Tables that are read and objects that are deleted, as they are."""
    seen = []

    def noted(owner, name, what):
        call = getattr(owner, name)

        def noting(*args):
            seen.append(what(*args))
            return call(*args)

        monkeypatch.setattr(owner, name, noting)

    noted(reading, "_load", lambda store, table, *rest: table)
    noted(Store, "delete", lambda store, key: key)
    return seen


def test_a_task_reads_no_table_that_it_fills_and_deletes_no_failure_that_is_not_there(
    trained, settings, store, calls
):
    job = Job("sweep", settings, Wish())
    (batch,) = batches(to_do(job), size=8)
    calls.clear()
    assert analysis_task(job, batch).failures == ()
    unmarked = tuple(f"{keys.outbox_prefix('sweep', trial_id)}/" for trial_id in trained.ids)
    assert [call for call in calls if not call.startswith(unmarked)] == []


def test_a_figure_is_drawn_from_rows_of_earlier_analyses_too(trained, store, calls):
    """Each of their tables is read once for all trials of a task."""
    trained(Wish(names=("timesteps", "swaps")))
    trained(Wish(names=("spectra",)))
    for trial_id in trained.ids:  # as after a kill between the rows and the figures
        store.delete(keys.trial_figure_key("sweep", trial_id, "spectra.png"))
    calls.clear()
    (report,) = trained(Wish(names=("blocked",)))
    assert report.trials == 2
    for table in ("timesteps", "critical", "swaps", "spectra"):
        assert calls.count(table) == 1
    for trial_id in trained.ids:
        names = {k.rsplit("/", 1)[-1] for k in store.list(f"trial_figures/sweep/{trial_id}")}
        assert {"timesteps.png", "spectra.png"} <= names


def test_a_figure_is_the_same_from_rows_computed_and_from_rows_read(trained, store):
    trained(Wish())
    names = [k for k in store.list("trial_figures/sweep") if "samples" not in k]
    before = {name: store.get(name) for name in names if "curve.png" not in name}
    draw_trials(store, "sweep", read_table(store, "trials", "sweep").to_dict("records"))
    assert {name: store.get(name) for name in before} == before


def test_analyses_over_training_have_a_row_a_snapshot_the_others_one_checkpoint(trained, store):
    trained()
    steps = {step for step, _ in keys.snapshots(store, trained.ids[0])}
    assert len(steps) > 3
    by_trial = read_table(store, "basins", "sweep").groupby("trial_id")["step"].apply(set)
    assert by_trial[trained.ids[0]] == steps
    assert set(read_table(store, "heads", "sweep")["step"]) == {40}
    marks = read_table(store, "analyses", "sweep").set_index(["trial_id", "analysis"])
    assert marks.loc[(trained.ids[0], "basins"), "checkpoints"] == len(steps)
    assert (marks["seconds"] > 0).all()


def test_what_is_done_is_not_done_again(trained, store):
    trained()
    before = parts(store)
    assert trained() == []
    assert parts(store) == before
    trained(Wish(names=("heads", "complexity")))
    assert {k: t for k, t in parts(store).items() if k in before} == before
    assert len(read_table(store, "complexity", "sweep"))


def test_other_noise_levels_are_another_question(trained, store):
    trained(Wish(names=("spectra",)))
    trained(Wish(names=("spectra",), levels_t=(0.25,)))
    frame = read_table(store, "spectra", "sweep")
    assert set(frame["t"]) == {0.0, 0.25, 0.5, 1.0}
    assert not frame.duplicated(list(TABLES["spectra"].key)).any()
    assert missing(store, "sweep", Wish(names=("spectra",), levels_t=(0.25,))) == []


def other_run(members, banks, decoders, device):
    """Trains as a device does that rounds otherwise, only more so."""
    for member in members:
        member.state.weights *= 1.01
    yield from train_pack(members, banks, decoders, device)


def test_analyses_are_of_the_run_that_the_row_is_of(trained, store, settings, tmp_path):
    """Though another driver has trained the same trials since, into the same checkpoints."""
    shutil.copytree(settings.store, tmp_path / "alone")
    job = PackJob("other", settings, tuple(CONFIGS), 1.0)
    run_pack(dataclasses.replace(job, trainer=other_run), lambda p: None)
    runs = [set(read_table(store, "trials", name)["run_id"]) for name in ("sweep", "other")]
    assert not runs[0] & runs[1]
    trained()
    alone = dataclasses.replace(settings, store=str(tmp_path / "alone"))
    todo = Job("sweep", alone, FAST)
    for batch in batches(to_do(todo), size=8):
        analysis_task(todo, batch)
    for table in FAST.names:
        mine, its = (read_table(s, table, "sweep") for s in (store, Store(alone)))
        assert not mine.empty
        pd.testing.assert_frame_equal(mine, its)
    # and the other sweep takes nothing over that is of another run
    job = Job("other", settings, FAST)
    assert len(missing(store, "other", FAST)) == 2
    (batch,) = batches(to_do(job), size=8)
    analysis_task(job, batch)
    theirs = read_table(store, "heads", "other")
    assert not theirs["margin"].isin(read_table(store, "heads", "sweep")["margin"]).any()


def test_rows_do_not_depend_on_what_is_analysed_together(trained, store, settings, tmp_path):
    trained()
    together = read_table(store, "basins", "sweep")
    other = dataclasses.replace(settings, store=str(tmp_path / "other"))
    alone = train(other, Store(other), "alone", [tiny_config(seed=0)])
    alone()
    mine = together[together["trial_id"] == alone.ids[0]].drop(columns="sweep")
    theirs = read_table(Store(other), "basins", "alone").drop(columns="sweep")
    pd.testing.assert_frame_equal(
        mine.reset_index(drop=True), theirs.reset_index(drop=True), rtol=1e-3, atol=1e-4
    )


def test_a_sweep_takes_over_what_another_has_analysed(trained, store, settings):
    trained()
    again = train(settings, store, "again", [tiny_config(seed=0), tiny_config(seed=2)])
    before = read_table(store, "analyses", "sweep").set_index(["trial_id", "analysis"])["seconds"]
    again()
    after = read_table(store, "analyses", "again").set_index(["trial_id", "analysis"])["seconds"]
    shared = [key for key in after.index if key in before.index]
    assert {analysis for _, analysis in shared} == set(FAST.names)
    assert (after[shared] == before[shared]).all()  # the very rows, not new ones
    assert set(read_table(store, "heads", "again")["trial_id"]) == set(again.ids)


def test_what_is_taken_over_is_drawn_in_the_new_sweep_too(trained, store, settings):
    wish = Wish(names=("identities",))
    trained(wish)
    again = train(settings, store, "again", CONFIGS)
    (report,) = again(wish)
    assert report.trials == 2
    for trial_id in again.ids:
        assert store.exists(keys.trial_figure_key("again", trial_id, "identities.png"))
    assert again(wish) == []


def test_figures_that_failed_are_drawn_when_asked_again(trained, store):
    wish = Wish(names=("identities",))
    trained(wish)
    row = {"trial_id": trained.ids[0], "analysis": "figures", "checkpoint": "", "error": "OSError"}
    write_rows(store, "failures", "sweep", [row | {"message": "disk full"}])
    (report,) = trained(wish)
    assert report.trials == 1
    assert read_table(store, "failures", "sweep").empty
    assert trained(wish) == []


# --- scopes --------------------------------------------------------------------------------------


def test_quick_does_the_dear_analyses_for_one_trial_a_phase_only(trained, store):
    trials = read_table(store, "trials", "sweep")
    shown = representatives(trials)
    assert sorted(shown) == sorted(set(shown))
    assert len(shown) == trials["phase"].nunique()
    for item in missing(store, "sweep", Wish(scope=QUICK)):
        dear = [name for name in item.names if not BY_NAME[name].quick]
        assert bool(dear) == (item.trial["trial_id"] in shown)
    assert missing(store, "sweep", Wish(scope=NONE)) == []


def test_noise_levels_that_are_close_are_another_question_too():
    close = (Wish(levels_t=(t,)).settings_of(BY_NAME["spectra"]) for t in (0.1234567, 0.12345671))
    assert len(set(close)) == 2
    assert Wish(levels_t=(0.25, 1.0)).settings_of(BY_NAME["spectra"]) == "t=0.25,1"  # as before


def snapshot(store, trial_id, step):
    """Key of the one snapshot of a trial at a step."""
    (run,) = [run for found, run in keys.snapshots(store, trial_id) if found == step]
    return keys.snapshot_key(trial_id, step, run)


# --- bad checkpoints -----------------------------------------------------------------------------


class Bomb:
    """A pickle of this would raise if it were ever loaded."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a checkpoint was executed')",))


def of_another_trial(store, key):
    return dump_snapshot(Member.start(tiny_config(seed=77)))


HOSTILE = {
    "missing": (lambda store, key: None, "not found"),
    "cut short": (lambda store, key: store.get(key)[:1000], "grok checkpoint|damaged"),
    "empty": (lambda store, key: b"", "not a grok checkpoint"),
    "pickle": (lambda store, key: pickle.dumps(Bomb()), "not a grok checkpoint"),
    "another trial": (of_another_trial, "need one of"),
    "another version": (
        lambda store, key: store.get(key).replace(FORMAT.encode(), b"grok-member-9"),
        "format and science version .'grok-member-9'",
    ),
}


@pytest.mark.parametrize("harm", HOSTILE)
def test_a_bad_checkpoint_is_a_row_of_failures_and_harms_no_other_trial(trained, store, harm):
    bad, good = trained.ids
    key = snapshot(store, bad, 40)
    whole = store.get(key)
    data, message = HOSTILE[harm][0](store, key), HOSTILE[harm][1]
    store.delete(key)
    if data is not None:
        store.put(key, data)

    (report,) = trained()
    failures = read_table(store, "failures", "sweep")
    assert set(failures["trial_id"]) == {bad}
    assert set(failures["analysis"]) == set(FAST.names)
    assert failures["message"].str.contains(message).all()
    assert (failures["checkpoint"] == store.uri(key)).all()
    assert len(report.failures) == 2
    assert set(read_table(store, "heads", "sweep")["trial_id"]) == {good}

    store.put(key, whole)  # mended, it is done, and the failure is forgotten
    (report,) = trained()
    assert report.failures == ()
    assert read_table(store, "failures", "sweep").empty
    assert set(read_table(store, "heads", "sweep")["trial_id"]) == {bad, good}


def test_a_damaged_snapshot_on_the_way_costs_the_analyses_over_training_only(trained, store):
    bad, good = trained.ids
    store.put(snapshot(store, bad, 10), b"\x80\x04 this could have been a pickle")
    trained()
    failures = read_table(store, "failures", "sweep")
    assert list(failures["analysis"]) == ["basins"]
    assert set(read_table(store, "heads", "sweep")["trial_id"]) == {bad, good}
    assert set(read_table(store, "basins", "sweep")["trial_id"]) == {good}


def test_weights_that_are_not_finite_fail_alone(trained, store):
    bad, good = trained.ids
    key = snapshot(store, bad, 40)
    member = load_snapshot(Member, store.get(key))
    member.state.average.fill_(float("nan"))
    store.put(key, dump_snapshot(member))
    trained()
    failures = read_table(store, "failures", "sweep")
    assert set(failures["trial_id"]) == {bad}
    assert failures["message"].str.contains("not finite").any()
    assert set(read_table(store, "heads", "sweep")["trial_id"]) == {good}


def test_diverged_trials_are_left_alone(settings, store):
    analyse = train(settings, store, "diverging", [tiny_config(seed=1, lr=1e30)])
    assert list(read_table(store, "trials", "diverging")["phase"]) == ["diverged"]
    assert analyse() == []


def test_without_pybdm_one_line_says_what_is_left_out(monkeypatch, caplog):
    monkeypatch.setattr(tasks, "has_bdm", lambda: False)
    todo = [Todo(finished_row(c), ("complexity",)) for c in CONFIGS]
    tasks.warn_of_what_is_left_out(todo)
    (line,) = [record.message for record in caplog.records]
    assert "pybdm is not installed" in line
    tasks.warn_of_what_is_left_out([Todo(todo[0].trial, ("spectra",))])
    assert len(caplog.records) == 1
