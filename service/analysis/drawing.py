"""Drawing into the store: what `service.report` draws is stored, and marked for MLflow. Figures of
trials are drawn from rows at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

import pandas as pd

from service.analysis.failures import Failures
from service.analysis.pending import FIGURES, Todo
from service.analysis.registry import ANALYSES
from service.report import figures, page, sweep_figures, trial_figures
from service.report.training_figure import Frames
from service.report.trial_figures import TRIAL_FIGURES
from service.store import keys
from service.store.store import Store
from service.tables.reading import frame_of, read_table
from service.tables.rows import Row
from service.tracking.marks import SWEEP, mark

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
    drawn = trial_figures.draw(row, frames, names)
    files = {
        keys.trial_figure_key(sweep, trial_id, f"{name}.png"): figures.png(figure)
        for name, figure in drawn.items()
    }
    _put(store, files)
    if files:
        mark(store, sweep, [trial_id])
    return list(files)


def draw_trials(store: Store, sweep: str, rows: Sequence[Row]) -> list[str]:
    """Draw all figures of some trials, each table read once for all of them; returns the keys.

    Earlier failures to draw them are forgotten.
    """
    found = TrialRows(store, sweep, [row["trial_id"] for row in rows])
    failures = Failures(store, sweep)
    drawn = []
    for row in rows:
        item = Todo(row, (), done=tuple(ANALYSIS_OF.values()))
        drawn += draw_trial(store, sweep, row, found.frames(item, TRIAL_FIGURES))
        failures.clear(FIGURES, row["trial_id"])
    return drawn


def draw_sweep(store: Store, sweep: str, planes: list[tuple[str, str]] | None = None) -> list[str]:
    """The figures of a sweep and the report that shows them; returns their keys.

    Args:
        planes: (x, y) axes, of which only figures are drawn; by default all, and the report.
    """
    prefix = keys.figures_prefix(sweep)
    drawn = sweep_figures.draw(store, sweep, planes)
    files = {f"{prefix}/{name}": data for name, data in sorted(drawn.items())}
    _put(store, files)
    if planes is None:
        report = {page.key(sweep): page.page(store, sweep).encode()}
        _put(store, report)
        files |= report
    mark(store, sweep, [SWEEP])
    return list(files)


def _put(store: Store, files: Mapping[str, bytes]) -> None:
    for key, data in files.items():
        store.put(key, data)
