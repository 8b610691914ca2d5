"""A sweep that went through a bundle is the sweep; a bundle that is damaged leaves no trace."""

import dataclasses
import hashlib
import json
import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grokmodel.core.config import SCIENCE_VERSION
from service.analysis.registry import ANALYSES
from service.settings import Settings
from service.store import origins
from service.store.manifest import read_manifest, write_manifest
from service.store.objects import StoreError
from service.store.store import Store
from service.tables.bundle import BY_DEFAULT, EXPORTED, INDEX, BundleError, export, find, read
from service.tables.importing import import_bundles
from service.tables.reading import done_ids, read_table, write_rows
from service.tables.schema import SCHEMA_VERSION, TABLES
from tests.service.rows import analyze, finish, finished_row
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]
FACTS = {"date": "2026-01-02", "device": "a machine", "git.commit": "abcdef012345"}
TABLES_OF = {analysis.name: analysis.tables for analysis in ANALYSES}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A sweep of which two of three trials are done, and analyzed; and its bundle."""
    folder = tmp_path_factory.mktemp("template")
    store = Store(Settings(str(folder / "store"), "", ""))
    rows = finish(store, "mine", CONFIGS[:2])
    write_manifest(store, "mine", CONFIGS[2:], "1")
    analyze(store, "mine", rows)
    origins.add_driver(store, "mine", FACTS)
    export(store, "mine", folder / "out", TABLES_OF, EXPORTED)
    return folder, rows


@pytest.fixture
def rows(template, store):
    """Those of its `trials`; it is in the store."""
    shutil.copytree(template[0] / "store", store.url)
    return template[1]


@pytest.fixture
def bundle(template, rows, tmp_path):
    return shutil.copytree(template[0] / "out", tmp_path / "out") / "mine"


@pytest.fixture
def empty(settings, tmp_path):
    return Store(dataclasses.replace(settings, store=str(tmp_path / "other")))


def take(store, *folders):
    return import_bundles(store, [read(folder) for folder in folders])


def frames(store, sweep=None):
    """All rows, in the order of their keys."""
    found = {name: read_table(store, name, sweep) for name in TABLES}
    return {
        name: f.sort_values(list(TABLES[name].key), ignore_index=True) for name, f in found.items()
    }


def assert_same(mine, theirs):
    for name in TABLES:
        pd.testing.assert_frame_equal(mine[name], theirs[name])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def files(store):
    return {entry.key: entry.modified for entry in store.entries("")}


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
    assert_same(frames(store, "mine"), frames(empty, "mine"))
    assert files(empty).items() >= before.items()
    assert origins.imported_runs(empty) == set()
    for name in TABLES:  # as plain pandas sees it
        parts = [pq.read_table(empty.path(k), partitioning=None).num_rows
                for k in empty.list(f"tables/{name}/sweep=mine")]  # fmt: skip
        assert sum(parts) == len(frames(store, "mine")[name])


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


# --- what is refused -----------------------------------------------------------------------------


def change_index(folder, **change):
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**index, **change}))


def put_in(folder, name, data):
    """A file in place of another, and the index says so."""
    (folder / name).write_bytes(data)
    index = json.loads((folder / INDEX).read_text())
    change_index(folder, files={**index["files"], name: hashlib.sha256(data).hexdigest()})


def change_table(folder, name, change):
    rows = change(pq.read_table(folder / f"{name}.parquet"))
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    put_in(folder, f"{name}.parquet", sink.getvalue().to_pybytes())


def one_bit(folder):
    data = bytearray((folder / "curves.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "curves.parquet").write_bytes(data)


def other_configs(folder):
    """Of which no trial has the id that it has."""
    body = json.loads((folder / "manifest.json").read_text())
    for config in body["trials"].values():
        config["steps"] += config["eval_every"]
    put_in(folder, "manifest.json", json.dumps(body).encode())


def add_column(rows):
    return rows.append_column("color", pa.array(["red"] * rows.num_rows))


def as_text(rows):
    return rows.set_column(rows.schema.get_field_index("loss"), "loss", rows["loss"].cast("string"))


def a_trial_less(folder):
    change_table(folder, "trials", lambda rows: rows[:1])
    rows = json.loads((folder / INDEX).read_text())["rows"]
    change_index(folder, rows={**rows, "trials": 1})


HARMS = {
    "one bit": (one_bit, r"curves\.parquet: damaged \(sha256"),
    "a file less": (lambda f: (f / "curves.parquet").unlink(), r"curves\.parquet: No such file"),
    "half an index": (lambda f: (f / INDEX).write_text('{"format": 1'), r"bundle\.json: damaged"),
    "no counts": (lambda f: change_index(f, rows=3), "damaged"),
    "another format": (lambda f: change_index(f, format=2), "format = 2; need 1"),
    "another science": (
        lambda f: change_index(f, science_version=SCIENCE_VERSION + 1),
        f"science_version = {SCIENCE_VERSION + 1}; need {SCIENCE_VERSION}",
    ),
    "a later schema": (
        lambda f: change_index(f, schema_version=SCHEMA_VERSION + 1),
        f"need {SCHEMA_VERSION} or older",
    ),
    "a path": (lambda f: change_index(f, sweep="../up"), "sweep = "),
    "another table": (lambda f: put_in(f, "colors.parquet", b""), "lists 'colors.parquet'"),
    "no trials": (lambda f: change_index(f, files={"manifest.json": ""}), "does not list trials"),
    "other fields": (other_configs, "has other config fields"),
    "another column": (lambda f: change_table(f, "curves", add_column), "column 'color'"),
    "another type": (lambda f: change_table(f, "curves", as_text), r"curves\.parquet: .*loss"),
    "rows less": (lambda f: change_table(f, "curves", lambda r: r[:3]), "3 rows; need 10"),
    "a trial less": (
        lambda f: change_table(f, "trials", lambda r: r[:1]),
        "1 rows; need 2",
    ),
    "rows of none": (a_trial_less, "rows of trials that are not done"),
    "no Parquet": (lambda f: put_in(f, "curves.parquet", b"rows"), r"curves\.parquet: "),
    "no manifest": (lambda f: put_in(f, "manifest.json", b"[]"), "no manifest"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_bundle_that_cannot_be_used_is_refused_with_all_that_come_with_it(
    harm, bundle, empty, tmp_path
):
    shutil.copytree(bundle, tmp_path / "bad" / "b")
    change, said = HARMS[harm]
    change(tmp_path / "bad" / "b")
    with pytest.raises(BundleError, match=said) as refused:
        take(empty, bundle, tmp_path / "bad" / "b")
    assert "\n" not in str(refused.value)
    assert empty.list("") == []


def test_a_name_that_may_be_taken_for_anothers_is_refused(bundle, empty):
    write_manifest(empty, "Mine", CONFIGS, "1")
    before = files(empty)
    with pytest.raises(BundleError, match="'Mine', a sweep that is there"):
        take(empty, bundle)
    assert files(empty) == before


def test_a_column_that_is_younger_than_the_bundle_is_null(bundle, empty):
    change_table(bundle, "curves", lambda rows: rows.drop_columns("weight_norm"))
    take(empty, bundle)
    assert read_table(empty, "curves")["weight_norm"].isna().all()
    assert read_table(empty, "curves")["loss"].notna().all()
