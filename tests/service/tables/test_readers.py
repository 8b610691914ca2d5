"""Whatever reads Parquet reads the tables: polars and DuckDB find what pandas finds."""

import pandas as pd
import pytest

from service.tables.schema import TABLES

REASON = "not installed; make test does"


@pytest.fixture(params=["polars", "duckdb"])
def read(request):
    """Rows of a table as a frame of pandas, read by another library."""
    library = pytest.importorskip(request.param, reason=REASON)

    def by_polars(table):
        return library.read_parquet(f"{table}/**/*.parquet", hive_partitioning=True).to_pandas()

    def by_duckdb(table):
        parts = f"read_parquet('{table}/**/*.parquet', hive_partitioning = true)"
        return library.sql(f"SELECT * FROM {parts}").df()

    return {"polars": by_polars, "duckdb": by_duckdb}[request.param]


def comparable(frame, table):
    """In one order of rows and columns, with the name of the sweep as text."""
    columns = [*(column.name for column in table.columns), "sweep"]
    assert set(frame.columns) == set(columns)
    frame = frame[columns].astype({"sweep": "str"})
    return frame.sort_values(list(table.key), ignore_index=True)


def test_they_read_what_pandas_reads(read, smoke_store):
    found = sorted(path.name for path in (smoke_store / "tables").iterdir())
    assert {"trials", "curves", "samples", "spectra"} <= set(found)
    for name in found:
        folder, table = smoke_store / "tables" / name, TABLES[name]
        expected = comparable(pd.read_parquet(folder), table)
        assert len(expected)
        pd.testing.assert_frame_equal(
            comparable(read(folder), table), expected, check_dtype=False, check_exact=True, obj=name
        )
