"""A sweep that went through a bundle is the sweep."""

import dataclasses
import hashlib
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from grokmodel.catalog.analyses import ANALYSES
from service.store import origins
from service.store.manifest import read_manifest, write_manifest
from service.store.objects import StoreError
from service.store.store import Store
from service.tables.bundle import BY_DEFAULT, EXPORTED, INDEX, BundleError, export, find, read
from service.tables.reading import done_ids, read_table, read_tables
from service.tables.schema import TABLES
from service.tables.writing import write_rows
from tests.service.rows import analyze, finish, finished_row
from tests.service.tables.bundles import CONFIGS, FACTS, TABLES_OF, files, take
from tests.service.tiny import tiny_config


def frames(store, sweep=None):
    """All rows, in the order of their keys."""
    return {
        name: rows.sort_values(list(TABLES[name].key), ignore_index=True)
        for name, rows in read_tables(store, TABLES, sweep).items()
    }


def assert_same(mine, theirs):
    for name in TABLES:
        pd.testing.assert_frame_equal(mine[name], theirs[name])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- the whole way -------------------------------------------------------------------------------


def test_a_sweep_comes_back_with_all_its_rows_and_where_it_was_trained(bundle, store, empty):
    assert [str(line) for line in take(empty, bundle)] == ["mine: 2 of 2 trials imported"]
    assert all(len(frame) for name, frame in frames(store).items() if name in EXPORTED)
    assert_same(frames(store), frames(empty))
    assert read_manifest(empty, "mine").trials == read_manifest(store, "mine").trials
    assert origins.trained_on(empty, "mine") == origins.trained_elsewhere(empty, "mine") == [FACTS]
    assert {trial for trial, _ in origins.imported_runs(empty)} == done_ids(store)


def test_whoever_exports_it_again_gets_the_same_bytes(bundle, store, empty, tmp_path):
    take(empty, bundle)
    for number, place in enumerate((store, empty)):
        out = tmp_path / str(number)
        export(place, "mine", out, TABLES_OF, EXPORTED)
        assert contents(out / "mine") == contents(bundle)


def test_the_index_says_what_it_is(bundle, rows):
    index = json.loads((bundle / INDEX).read_text())
    assert (index["trials"], index["trained_on"]) == (2, [FACTS])
    assert index["training_s"] == sum(row["wall_s"] for row in rows)
    assert index["analysis_s"] == 0.5 * 2 * len(ANALYSES)
    for name, sha256 in index["files"].items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == sha256


def test_a_second_import_writes_nothing(bundle, empty):
    take(empty, bundle)
    before = files(empty)
    assert str(*take(empty, bundle)) == "mine: 0 of 2 trials imported, 2 there already"
    assert files(empty) == before


def test_a_mark_of_an_analysis_is_left_out_with_any_of_its_tables(rows, store, empty, tmp_path):
    export(store, "mine", tmp_path, TABLES_OF)
    take(empty, tmp_path / "mine")
    left_out = {a.name for a in ANALYSES if not set(a.tables) <= set(BY_DEFAULT)}
    assert left_out
    assert set(read_table(empty, "analyses")["analysis"]) == TABLES_OF.keys() - left_out


def test_a_table_that_is_exported_no_more_goes(bundle, store):
    assert (bundle / "heads.parquet").exists()
    export(store, "mine", bundle.parent, TABLES_OF, ["spectra"])
    names = {"trials.parquet", "spectra.parquet", "analyses.parquet", "manifest.json", INDEX}
    assert contents(bundle).keys() == names
    read(bundle)


def test_trials_of_another_science_version_stay_where_they_are(rows, store, tmp_path):
    """Under the id that they had there."""
    body = {"experiment_id": "1", "trials": {"0" * 16: tiny_config(seed=9).to_dict()}}
    store.put("sweeps/mine/old.json", json.dumps(body).encode())
    write_rows(store, "trials", "mine", [{**finished_row(tiny_config()), "trial_id": "0" * 16}])
    assert export(store, "mine", tmp_path, TABLES_OF)["trials"] == 2
    assert read(tmp_path / "mine").configs.keys() == {c.trial_id for c in CONFIGS}


def test_an_export_that_cannot_be_is_one_error(rows, store, tmp_path):
    write_manifest(store, "empty", CONFIGS, "1")
    with pytest.raises(BundleError, match="no trial of 'empty'"):
        export(store, "empty", tmp_path, TABLES_OF)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(BundleError, match=r"has files, but no bundle\.json"):
        export(store, "mine", tmp_path, TABLES_OF)
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="need a folder"):
        export(store, "mine", tmp_path / "file", TABLES_OF)


# --- into a store that has something -------------------------------------------------------------


def test_a_trial_of_another_run_is_left_alone(bundle, rows, empty):
    mine = {**rows[0], "run_id": "mine", "val_acc": 0.25}
    write_rows(empty, "trials", "here", [mine])
    take(empty, bundle)
    trials = read_table(empty, "trials").set_index("trial_id")
    assert trials.loc[mine["trial_id"], "run_id"] == "mine"
    assert trials.loc[rows[1]["trial_id"], "run_id"] == rows[1]["run_id"]
    assert done_ids(empty, "mine") == {rows[1]["trial_id"]}


def test_a_trial_of_the_same_run_gets_what_it_lacks(bundle, store, rows, empty):
    """In this sweep too, if it was another's; nothing of it counts as imported."""
    finish(empty, "mine", CONFIGS[:1])
    finish(empty, "other", CONFIGS[1:2])
    analyze(empty, "mine", rows[:1], ANALYSES[:3])
    before = files(empty)
    take(empty, bundle)
    theirs = frames(store, "mine")
    assert_same(theirs, frames(empty, "mine"))
    assert files(empty).items() >= before.items()
    assert origins.imported_runs(empty) == set()
    for name in TABLES:  # as plain pandas sees it
        parts = [pq.read_table(empty.path(k), partitioning=None).num_rows
                for k in empty.list(f"tables/{name}/sweep=mine")]  # fmt: skip
        assert sum(parts) == len(theirs[name])


def test_sweeps_that_share_a_trial_both_have_it(bundle, store, empty):
    finish(store, "another", CONFIGS[:1])
    origins.add_driver(store, "another", FACTS)
    export(store, "another", bundle.parent, TABLES_OF)
    take(empty, *find(bundle.parent))
    assert done_ids(empty, "another") == {CONFIGS[0].trial_id} < done_ids(empty, "mine")
    for sweep in ("mine", "another"):
        assert origins.trained_elsewhere(empty, sweep) == [FACTS]


class Dying(Store):
    """A store whose user is killed after some writes."""

    left = 0

    def put(self, key, data):
        if self.left == 0:
            raise StoreError("killed")
        self.left -= 1
        super().put(key, data)


def test_after_a_kill_no_trial_is_done_and_the_same_command_completes_it(
    rows, store, empty, settings, tmp_path
):
    export(store, "mine", tmp_path, TABLES_OF, ["curves", "spectra"])
    take(empty, tmp_path / "mine")
    for writes in range(100):
        place = dataclasses.replace(settings, store=str(tmp_path / f"killed-{writes}"))
        dying = Dying(place)
        dying.left = writes
        try:
            take(dying, tmp_path / "mine")
            break
        except StoreError:
            assert done_ids(dying) == set()
        take(Store(place), tmp_path / "mine")
        for name in ("trials", "curves", "spectra", "analyses"):
            pd.testing.assert_frame_equal(*(read_table(s, name) for s in (empty, Store(place))))
    assert writes == 6  # manifest, note, four tables
