"""A bundle that is damaged or foreign is refused, and leaves no trace."""

import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grokmodel.core.config import SCIENCE_VERSION
from service.store.manifest import write_manifest
from service.tables.bundle import INDEX, BundleError
from service.tables.reading import read_table
from service.tables.schema import SCHEMA_VERSION
from tests.service.tables.bundles import CONFIGS, files, take


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
