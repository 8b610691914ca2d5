"""What is no row of a table is refused by name, before anything of it is written."""

import io

import pyarrow.parquet as pq
import pytest

from service.tables.reading import read_table
from service.tables.writing import TableError, write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

ROW = finished_row(tiny_config())


def test_a_whole_number_may_come_as_a_float(store):
    write_rows(store, "trials", "sweep", [{**ROW, "train_step": 20.0}])
    assert read_table(store, "trials", "sweep")["train_step"].tolist() == [20]


def test_what_was_not_measured_is_null_and_what_is_infinite_stays(store):
    row = {**ROW, "val_acc": float("nan"), "train_step": float("nan"), "wall_s": float("inf")}
    write_rows(store, "trials", "sweep", [row])
    (part,) = store.list("tables")
    (back,) = pq.read_table(io.BytesIO(store.get(part))).to_pylist()
    assert (back["val_acc"], back["train_step"], back["wall_s"]) == (None, None, float("inf"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"train_step": 20.5}, "train_step: 20.5; need a whole number"),
        ({"train_step": "20"}, "train_step: .*20"),
        ({"odd": 1}, r"columns \['odd'\] are missing or unknown"),
        ({"trial_id": None}, "trial_id is None; need a value in every row"),
    ],
)
def test_a_row_of_another_kind_is_refused_by_name(store, fields, words):
    with pytest.raises(TableError, match=words):
        write_rows(store, "trials", "sweep", [ROW, {**ROW, **fields}])
    assert not store.list("tables")
