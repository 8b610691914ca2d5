"""From checkpoints to rows without Ray: which, of which run, and each only once."""

import dataclasses
import shutil

import pandas as pd

from grokmodel.catalog.analyses import ANALYSES, BY_NAME
from grokmodel.families import train
from service.analysis import tasks
from service.analysis.pending import NONE, QUICK, Todo, Wish, missing
from service.analysis.tasks import Job, to_do
from service.report import trial_figures
from service.store import keys, marks
from service.store.store import Store
from service.tables.reading import read_table
from service.tables.schema import TABLES
from service.tables.typical import representatives
from service.worker.pack_run import PackJob
from tests.service.analysis.sweeps import CONFIGS, FAST, Sweep
from tests.service.packs import run_pack
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config


def parts(store):
    """Name and time of every file of the tables."""
    return {entry.key: entry.modified for entry in store.entries("tables")}


def test_all_analyses_of_a_trial_fill_all_tables_and_draw_all_figures(trained, store):
    (report,) = trained.analyze(Wish())
    assert (report.trials, report.failures) == (2, ())
    for name in (table for a in ANALYSES if "image" in a.families for table in a.tables):
        frame = read_table(store, name, "sweep")
        assert set(frame["trial_id"]) == set(trained.ids), name
        assert not frame.duplicated(list(TABLES[name].key)).any(), name
    for row in read_table(store, "trials", "sweep").to_dict("records"):
        names = trial_figures.TRIAL_FIGURES
        assert trial_figures.draw(store, "sweep", row, names).keys() == names.keys()
    assert set(marks.marked(store, "sweep")) == set(trained.ids)


def test_mlflow_is_told_of_analyses(trained, store):
    store.delete_folder(keys.outbox_prefix("sweep"))
    trained.analyze(Wish(names=("heads",)))
    assert set(marks.marked(store, "sweep")) == set(trained.ids)


def test_analyses_over_training_have_a_row_a_snapshot_the_others_one_checkpoint(trained, store):
    trained.analyze()
    steps = {step for step, _ in keys.snapshots(store, trained.ids[0])}
    assert len(steps) > 3
    by_trial = read_table(store, "basins", "sweep").groupby("trial_id")["step"].apply(set)
    assert by_trial[trained.ids[0]] == steps
    assert set(read_table(store, "heads", "sweep")["step"]) == {40}
    done = read_table(store, "analyses", "sweep").set_index(["trial_id", "analysis"])
    assert done.loc[(trained.ids[0], "basins"), "checkpoints"] == len(steps)
    assert (done["seconds"] > 0).all()


def test_what_is_done_is_not_done_again(trained, store):
    trained.analyze()
    before = parts(store)
    assert trained.analyze() == []
    assert parts(store) == before
    trained.analyze(Wish(names=("heads", "complexity")))
    assert {k: t for k, t in parts(store).items() if k in before} == before
    assert len(read_table(store, "complexity", "sweep"))


def test_a_worker_that_dies_fails_only_trials_that_still_lack_something(trained, store, settings):
    job = Job("sweep", settings, Wish(names=("heads",)))
    batch = to_do(job).todo
    first, second = batch
    tasks.analysis_task(job, [first])
    (failure,) = tasks.lost_with_worker(job, batch, RuntimeError("killed"))
    assert failure.trial_id == second.trial["trial_id"]
    assert list(read_table(store, "failures", "sweep")["trial_id"]) == [failure.trial_id]


def test_what_another_process_does_meanwhile_is_left_out(trained, settings, monkeypatch):
    adopt = tasks.adopt

    def overtaken(*args):
        found = adopt(*args)
        monkeypatch.setattr(tasks, "adopt", adopt)
        trained.analyze()  # the other process, which ends between two readings
        return found

    monkeypatch.setattr(tasks, "adopt", overtaken)
    assert to_do(Job("sweep", settings, FAST)).todo == []


def test_other_noise_levels_are_another_question(trained, store):
    trained.analyze(Wish(names=("spectra",)))
    other = Wish(names=("spectra",), levels_t=(0.25,))
    trained.analyze(other)
    frame = read_table(store, "spectra", "sweep")
    assert set(frame["t"]) == {0.0, 0.25, 0.5, 1.0}
    assert not frame.duplicated(list(TABLES["spectra"].key)).any()
    assert missing(store, "sweep", other).todo == []
    close = (Wish(levels_t=(t,)).settings_of(BY_NAME["spectra"]) for t in (0.1234567, 0.12345671))
    assert len(set(close)) == 2
    assert Wish(levels_t=(0.25, 1.0)).settings_of(BY_NAME["spectra"]) == "t=0.25,1"  # as before


def test_quick_does_the_expensive_analyses_for_one_trial_a_phase_only(trained, store):
    shown = representatives(read_table(store, "trials", "sweep"))
    for item in missing(store, "sweep", Wish(scope=QUICK)).todo:
        expensive = [name for name in item.names if not BY_NAME[name].quick]
        assert bool(expensive) == (item.trial["trial_id"] in shown)
    assert missing(store, "sweep", Wish(scope=NONE)).todo == []


def test_diverged_trials_are_left_alone(settings, store):
    sweep = Sweep(settings, "diverging", [tiny_config(seed=1, lr=1e30)])
    assert list(read_table(store, "trials", "diverging")["phase"]) == ["diverged"]
    assert sweep.analyze() == []


def test_without_pybdm_one_line_says_what_is_left_out(monkeypatch, caplog):
    monkeypatch.setattr(tasks, "has_bdm", lambda: False)
    row = finished_row(CONFIGS[0])
    tasks.warn_of_what_is_left_out([Todo(row, ("spectra",))])
    tasks.warn_of_what_is_left_out([Todo(row, ("complexity",))] * 2)
    (line,) = [record.message for record in caplog.records]
    assert "pybdm is not installed" in line


# --- other runs, other sweeps --------------------------------------------------------------------


def other_run(members, inputs, device, mode):
    """Trains as a device does that rounds otherwise, only more so."""
    for member in members:
        member.state.weights *= 1.01
    yield from train(members, inputs, device, mode)


def test_analyses_are_of_the_run_that_the_row_is_of(trained, store, settings, tmp_path):
    """Though another driver has trained the same trials since, into the same checkpoints."""
    alone = dataclasses.replace(settings, store=str(tmp_path / "alone"))
    shutil.copytree(settings.store, alone.store)
    run_pack(PackJob("other", settings, tuple(CONFIGS), 1.0, other_run))
    runs = [set(read_table(store, "trials", name)["run_id"]) for name in ("sweep", "other")]
    assert not runs[0] & runs[1]
    trained.analyze()
    Sweep(alone).analyze()
    for table in FAST.names:
        mine, its = (read_table(s, table, "sweep") for s in (store, Store(alone)))
        assert not mine.empty
        pd.testing.assert_frame_equal(mine, its)
    # and the other sweep takes nothing over that is of another run
    Sweep(settings, "other").analyze()
    theirs = read_table(store, "heads", "other")
    assert set(theirs["trial_id"]) == set(trained.ids)
    assert not theirs["margin"].isin(read_table(store, "heads", "sweep")["margin"]).any()


def test_rows_do_not_depend_on_what_is_analyzed_together(trained, store, settings, tmp_path):
    trained.analyze()
    other = dataclasses.replace(settings, store=str(tmp_path / "other"))
    alone = Sweep(other, "alone", CONFIGS[:1])
    alone.analyze()
    mine, theirs = read_table(store, "basins", "sweep"), read_table(Store(other), "basins")
    mine = mine[mine["trial_id"] == alone.ids[0]].reset_index(drop=True)
    drop = {"columns": "sweep"}
    pd.testing.assert_frame_equal(mine.drop(**drop), theirs.drop(**drop), rtol=1e-3, atol=1e-4)


def test_a_sweep_takes_over_what_another_has_analyzed(trained, store, settings):
    wish = Wish(names=(*FAST.names, "identities"))
    trained.analyze(wish)
    again = Sweep(settings, "again", [CONFIGS[0], tiny_config(seed=2)])
    again.analyze(wish)
    before, after = (
        read_table(store, "analyses", sweep).set_index(["trial_id", "analysis"])["seconds"]
        for sweep in ("sweep", "again")
    )
    shared = [key for key in after.index if key in before.index]
    assert {analysis for _, analysis in shared} == set(wish.names)
    assert (after[shared] == before[shared]).all()  # the very rows, not new ones
    assert set(read_table(store, "heads", "again")["trial_id"]) == set(again.ids)
    assert again.analyze(wish) == []
