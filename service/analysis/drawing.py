"""Figures of trials into the store, from rows at hand; what is drawn is marked for MLflow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache

import pandas as pd

from service.analysis.pending import Todo
from service.analysis.registry import ANALYSES
from service.report import figures
from service.report.training_figure import Frames
from service.report.trial_figures import TRIAL_FIGURES
from service.store import keys
from service.store.store import Store
from service.tables.reading import frame_of, read_table
from service.tables.rows import Row
from service.tracking.marks import mark

ANALYSIS_OF = {table: analysis.name for analysis in ANALYSES for table in analysis.tables}


class TrialRows:
    """Rows of some trials of a sweep: those just computed, and where there are others in the store,
    all of a table, read once for all the trials. It is read after what is computed is written."""

    def __init__(self, store: Store, sweep: str, trial_ids: Iterable[str]) -> None:
        self.store, self.sweep, self.trial_ids = store, sweep, list(trial_ids)
        self.computed: dict[tuple[str, str], list[Row]] = {}
        """(table, trial) -> its rows."""
        self._stored = cache(self._read)

    def add(self, table: str, trial_id: str, rows: Iterable[Row]) -> None:
        """Rows that were just computed."""
        self.computed.setdefault((table, trial_id), []).extend(rows)

    def frames(self, item: Todo, names: Iterable[str]) -> Frames:
        """The tables from which some figures of a trial are drawn."""
        tables = {table for name in names for table in TRIAL_FIGURES[name][0]}
        return {table: self._frame(table, item) for table in sorted(tables)}

    def due(self, item: Todo, is_all: bool) -> list[str]:
        """Names of the figures of a trial that are out of date, or not there (any if `is_all`)."""
        trial_id = item.trial["trial_id"]
        prefix = keys.trial_figure_key(self.sweep, trial_id, "")
        there = set(self.store.list(prefix.rstrip("/"))) if item.done and not is_all else set()
        return [
            name
            for name, (tables, _) in TRIAL_FIGURES.items()
            if any((table, trial_id) in self.computed for table in tables)
            or (ANALYSIS_OF[tables[0]] in item.done and f"{prefix}{name}.png" not in there)
        ]

    def _frame(self, table: str, item: Todo) -> pd.DataFrame:
        trial_id = item.trial["trial_id"]
        mine = self.computed.get((table, trial_id))
        # training makes the curve; an analysis that was done before has rows of other settings
        is_stored = mine is None if table == "curves" else ANALYSIS_OF[table] in item.done
        if not is_stored:
            return frame_of(table, mine or [])
        frame = self._stored(table)
        return frame[frame["trial_id"] == trial_id]

    def _read(self, table: str) -> pd.DataFrame:
        return read_table(self.store, table, self.sweep, self.trial_ids)


def draw_trial(
    store: Store, sweep: str, row: Row, frames: Frames, names: Collection[str] = TRIAL_FIGURES
) -> list[str]:
    """Draw figures of a trial for which there are rows; returns their keys."""
    trial_id = str(row["trial_id"])
    files = {}
    for name in names:
        tables, figure = TRIAL_FIGURES[name]
        if not frames[tables[0]].empty:
            key = keys.trial_figure_key(sweep, trial_id, f"{name}.png")
            files[key] = figures.png(figure(row, frames))
    for key, data in files.items():
        store.put(key, data)
    if files:
        mark(store, sweep, [trial_id])
    return list(files)


def draw_trials(store: Store, sweep: str, rows: Sequence[Row]) -> list[str]:
    """Draw all figures of some trials, each table read once for all of them; returns the keys."""
    found = TrialRows(store, sweep, [row["trial_id"] for row in rows])
    drawn = []
    for row in rows:
        item = Todo(row, (), done=tuple(ANALYSIS_OF.values()))
        drawn += draw_trial(store, sweep, row, found.frames(item, TRIAL_FIGURES))
    return drawn
