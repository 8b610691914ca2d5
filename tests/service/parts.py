"""Parts of tables, written as workers write them, and merged without waiting."""

from service.tables.compaction import compact
from service.tables.writing import write_rows
from tests.service.rows import curve_row


def write_curves(store, trials, sweep="one", steps=(0, 10)):
    """A part a trial, as workers write them; returns the keys of all rows."""
    for trial in trials:
        write_rows(store, "curves", sweep, [curve_row(trial, step) for step in steps])
    return {(trial, step) for trial in trials for step in steps}


def keys_of(frame):
    return list(zip(frame["trial_id"], frame["step"]))


def parts(store, table="curves"):
    return [key for key in store.list(f"tables/{table}") if key.endswith(".parquet")]


def now(store, **options):
    return compact(store, settled_s=-1.0, say=lambda line: None, **options)
