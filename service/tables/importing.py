"""The rows of bundles into a store, as if their trials had been trained there.

Every bundle is checked before anything is written. Then, sweep by sweep, come the manifest, a note
that the trials were imported, checkpoints if there are any, the tables, the marks of analyses and
last the `trials` rows: killed at any moment, the same command completes it. A trial that the store
has of another run is left alone; of one that it has of the same run it gets what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from grokmodel.errors import ConfigError
from service.store.manifest import checked_name, read_manifest, write_manifest
from service.store.origins import add_import, imported_runs
from service.store.store import Store
from service.tables.bundle import Bundle, BundleError
from service.tables.reading import done_ids, read_arrow, read_table
from service.tables.schema import TABLES
from service.tables.writing import write_rows

MARK = ("trial_id", "analysis", "settings")
LAST = ("analyses", "trials")
"""The done-markers of analyses, then those of trials."""


@dataclass(frozen=True)
class Imported:
    """What became of a bundle."""

    sweep: str
    trials: int
    """That it has."""
    new: int
    """Of which the store had no row in this sweep."""

    def __str__(self) -> str:
        there = self.trials - self.new
        also = f", {there} there already" if there else ""
        return f"{self.sweep}: {self.new} of {self.trials} trials imported{also}"


def import_bundles(store: Store, bundles: Sequence[Bundle]) -> list[Imported]:
    """Write what the store lacks.

    Raises:
        BundleError: the name of a sweep may be taken for another's; nothing is written.
        StoreError, TableError: the store cannot be used.
    """
    for bundle in bundles:
        try:
            checked_name(bundle.sweep, store)
        except ConfigError as error:
            text = f"{bundle.where}: sweep = {bundle.sweep!r}; need {error.allowed}"
            raise BundleError(text) from error
    return [_import(store, bundle) for bundle in bundles]


def _import(store: Store, bundle: Bundle) -> Imported:
    sweep, runs = bundle.sweep, bundle.runs
    trials = read_table(store, "trials", None, runs, ["trial_id", "run_id"])
    known = dict(zip(trials["trial_id"], trials["run_id"]))
    here = done_ids(store, sweep)
    mine = {i for i, run in runs.items() if known.get(i, run) == run}
    checkpoints = [place for place in bundle.checkpoints if not store.exists(place[1])]
    lacking = _lacking_marks(store, bundle) | {trial_id for trial_id, _ in checkpoints}
    due = (mine - here) | (mine & lacking)
    if due:
        manifest = read_manifest(store, sweep)
        experiment_id = manifest.experiment_id if manifest else ""
        write_manifest(store, sweep, bundle.configs.values(), experiment_id)
        elsewhere = imported_runs(store)  # into another sweep
        imported = {i: runs[i] for i in due if i not in known or (i, runs[i]) in elsewhere}
        if imported:
            add_import(store, sweep, imported, bundle.trained_on)
        for trial_id, key in checkpoints:
            if trial_id in mine:
                store.put(key, bundle.checkpoints[trial_id, key]())
        for name in (*(n for n in bundle.tables if n not in LAST), *LAST):
            write_rows(store, name, sweep, _lacking(store, bundle, name, due).to_pylist())
    return Imported(sweep, len(runs), len(mine - here))


def _lacking_marks(store: Store, bundle: Bundle) -> set[str]:
    """Trials with an analysis that the store has not marked as done in this sweep."""
    if "analyses" not in bundle.tables:
        return set()
    there = read_arrow(store, "analyses", bundle.sweep, bundle.runs, MARK)
    lacking = _keys(bundle.tables["analyses"], MARK) - _keys(there, MARK)
    return {str(trial_id) for trial_id, *_ in lacking}


def _lacking(store: Store, bundle: Bundle, name: str, due: Set[str]) -> pa.Table:
    """Rows of these trials whose keys the store does not have."""
    rows = bundle.tables.get(name, TABLES[name].arrow.empty_table())
    rows = rows.filter(pc.field("trial_id").isin(pa.array(sorted(due), pa.string())))
    key = TABLES[name].identity
    there = _keys(read_arrow(store, name, bundle.sweep, due, key), key)
    return rows.filter(pa.array([k not in there for k in _tuples(rows, key)], pa.bool_()))


def _keys(rows: pa.Table, names: Sequence[str]) -> set[tuple[object, ...]]:
    return set(_tuples(rows, names))


def _tuples(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    return zip(*(rows[name].to_pylist() for name in names))
