"""Trials that came in a bundle have no checkpoints: what needs one is said, and not tried."""

import dataclasses

import pytest

from service.analysis.pending import Wish, missing
from service.cli import commands
from service.health import garbage
from service.health.status import status_of
from service.schedule import reuse
from service.schedule.plan import Resources, make_plan
from service.store.manifest import write_manifest
from service.store.store import Store
from service.tables.bundle import export, read
from service.tables.importing import import_bundles
from service.tables.reading import read_table
from tests.service.analysis.sweeps import CONFIGS, FAST, Sweep
from tests.service.tiny import tiny_config

MORE = Wish(names=(*FAST.names, "identities"))


@pytest.fixture
def imported(trained, store, settings, tmp_path):
    """Settings of a store into which a trained and analyzed sweep was imported."""
    write_manifest(store, "sweep", CONFIGS, "1")
    trained.analyze()
    tables_of = {name: (name,) for name in FAST.names}
    export(store, "sweep", tmp_path / "out", tables_of)
    settings = dataclasses.replace(settings, store=str(tmp_path / "elsewhere"))
    import_bundles(Store(settings), [read(tmp_path / "out" / "sweep")])
    return settings


def test_what_they_lack_is_one_line_and_no_failure(imported, capsys):
    store = Store(imported)
    nothing, identities = (missing(store, "sweep", wish) for wish in (FAST, MORE))
    assert nothing.todo == identities.todo == []
    assert nothing.lost_in_words == ""
    said = "2 trials were imported without checkpoints: not done there: identities"
    assert identities.lost_in_words == said
    words = ["analyze", "--sweep", "sweep", "--store", store.url, "--only"]
    assert commands.main([*words, "identities"]) == 1
    assert capsys.readouterr().err == f"grok: {said}\n"
    assert commands.main([*words, "heads"]) == 0
    assert read_table(store, "failures").empty


def test_a_sweep_that_takes_them_over_gets_their_analyses_and_does_its_own(imported, trained):
    store, own = Store(imported), tiny_config(seed=2)
    more = Sweep(imported, "more", [own])
    reuse.adopt(store, make_plan(store, "more", [*CONFIGS, own], Resources(1, 1.0, 0.0)))
    more.analyze(MORE)
    done = read_table(store, "analyses", "more").groupby("trial_id")["analysis"].apply(set)
    assert done[own.trial_id] == set(MORE.names)
    assert [done[i] for i in trained.ids] == 2 * [set(FAST.names)]
    assert read_table(store, "failures").empty
    assert more.analyze(MORE) == []


def test_status_says_so_and_nothing_is_garbage_while_they_are_there(imported):
    store = Store(imported)
    (line,) = [x for x in status_of(store, "sweep").text().splitlines() if "imported" in x]
    assert line == "  2 trials imported, trained on an unknown device"
    assert status_of(store, "sweep").to_dict()["imported"] == 2
    assert garbage.find(store, 0.0) == []
    store.delete_folder("sweeps/sweep")
    store.delete_folder("tables/trials")
    assert [each.kind for each in garbage.find(store, 0.0)] == [garbage.ORIGINS]
