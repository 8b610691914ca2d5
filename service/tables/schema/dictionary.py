"""The data dictionary: every table and column, as Markdown from the schema."""

from __future__ import annotations

from service.tables.schema import TABLES, Column, Table
from service.text import table_cell

HEAD = """# Tables

What `pd.read_parquet(f"{store}/tables/<table>")` gives. Made from `service/tables/schema` by
`make docs`; do not edit it by hand. Every table also has the column `sweep`, the name of the sweep
(a folder). A number that was not measured is null.

Plain pandas takes the columns of the first file that it meets. Where that is of an earlier version
and lacks younger columns, take `read_table(Store(load_settings(store)), "<table>")`, of
`service.tables.reading`, `service.store.store` and `service.settings`: it gives all of them.

A trial that two drivers trained at the same time may have rows of both runs, which differ by
rounding and in where they stopped. `read_table` gives those of one; plain pandas gets them by
joining a table with `trials` on `trial_id` and `run_id`.
"""


def dictionary() -> str:
    """The whole dictionary."""
    return "\n".join([HEAD, *(_table(table) for table in TABLES.values())])


def _table(table: Table) -> str:
    lines = [
        f"## {table.name}",
        "",
        table_cell(table.meaning),
        f"Key: {', '.join(f'`{name}`' for name in table.key)}.",
        "",
        "| column | type | unit | meaning | source |",
        "|---|---|---|---|---|",
        *(_column(column, table) for column in table.columns),
        "",
    ]
    return "\n".join(lines)


def _column(column: Column, table: Table) -> str:
    cells = (f"`{column.name}`", str(column.type), column.unit, column.meaning)
    source = column.source or table.source
    return f"| {' | '.join(table_cell(text) for text in (*cells, source))} |"
