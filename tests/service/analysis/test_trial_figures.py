"""Figures of trials are drawn from rows at hand, and from the store where others did them."""

import pytest

from service.analysis.drawing import draw_trials
from service.analysis.pending import Wish, batches
from service.analysis.tasks import Job, analysis_task, to_do
from service.store import keys
from service.store.store import Store
from service.tables import reading
from service.tables.reading import read_table, write_rows


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
    trained, settings, calls
):
    job = Job("sweep", settings, Wish())
    (batch,) = batches(to_do(job), size=8)
    calls.clear()
    assert analysis_task(job, batch).failures == ()
    assert calls == []


def test_a_figure_is_drawn_from_rows_of_earlier_analyses_too(trained, store, calls):
    """Each of their tables is read once for all trials of a task."""
    trained.analyze(Wish(names=("timesteps", "swaps")))
    trained.analyze(Wish(names=("spectra",)))
    for trial_id in trained.ids:  # as after a kill between the rows and the figures
        store.delete(keys.trial_figure_key("sweep", trial_id, "spectra.png"))
    calls.clear()
    trained.analyze(Wish(names=("blocked",)))
    for table in ("timesteps", "critical", "swaps", "spectra"):
        assert calls.count(table) == 1
    for trial_id in trained.ids:
        names = {k.rsplit("/", 1)[-1] for k in store.list(f"trial_figures/sweep/{trial_id}")}
        assert {"timesteps.png", "spectra.png"} <= names


def test_a_figure_is_the_same_from_rows_computed_and_from_rows_read(trained, store):
    trained.analyze(Wish())
    names = store.list("trial_figures/sweep")
    before = {name: store.get(name) for name in names if not name.endswith(("curve.png",))}
    draw_trials(store, "sweep", read_table(store, "trials", "sweep").to_dict("records"))
    assert {name: store.get(name) for name in before} == before


def test_figures_that_failed_are_drawn_when_asked_again(trained, store):
    wish = Wish(names=("identities",))
    trained.analyze(wish)
    row = {"trial_id": trained.ids[0], "analysis": "figures", "checkpoint": "", "error": "OSError"}
    write_rows(store, "failures", "sweep", [row | {"message": "disk full"}])
    (report,) = trained.analyze(wish)
    assert report.trials == 1
    assert read_table(store, "failures", "sweep").empty
    assert trained.analyze(wish) == []
