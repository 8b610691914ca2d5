"""Which analyses a sweep lacks, what other sweeps know already, and what goes together."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from grokmodel.catalog.analyses import BY_NAME, Analysis, chosen
from grokmodel.catalog.runs import LEVELS_T
from grokmodel.configs import config_of
from grokmodel.core.config import Config
from grokmodel.core.outcome import DIVERGED
from grokmodel.core.rows import Row
from service.store.keys import snapshot_key
from service.store.origins import imported_runs
from service.store.store import Store
from service.tables.reading import read_rows, read_table
from service.tables.typical import representatives
from service.tables.writing import write_rows
from service.text import config_value, count

ALL, QUICK, NONE = "all", "quick", "none"


@dataclass(frozen=True)
class Wish:
    """What is asked of the trials of a sweep."""

    names: tuple[str, ...] | None = None
    """Analyses; None: all."""
    scope: str = ALL
    """`all`: every analysis of every trial; `quick`: the expensive ones of a typical trial
    of each phase only."""
    levels_t: tuple[float, ...] = LEVELS_T
    """Noise levels of the spectra."""

    def settings_of(self, analysis: Analysis) -> str:
        """What is asked of an analysis beyond its defaults; part of the key of its done-marker."""
        if analysis.name == "spectra" and self.levels_t != LEVELS_T:
            return "t=" + ",".join(map(config_value, self.levels_t))
        return ""


@dataclass(frozen=True)
class Todo:
    """One trial and what it lacks."""

    trial: Row
    """Its row of `trials`."""
    names: tuple[str, ...]
    """Analyses to be done."""

    @property
    def config(self) -> Config:
        return config_of(self.trial)


@dataclass(frozen=True)
class Missing:
    """What the trials of a sweep lack; diverged ones have nothing to analyze."""

    todo: list[Todo]
    lost: list[Todo]
    """Of trials that were imported, and have no checkpoint here: this cannot be done."""

    @property
    def lost_in_words(self) -> str:
        """Nothing if that is nothing."""
        names = {name: None for item in self.lost for name in item.names}
        trials = count(len(self.lost), "trial was imported", "trials were imported")
        said = f"{trials} without checkpoints: not done there: {', '.join(names)}"
        return said if self.lost else ""


def missing(store: Store, sweep: str, wish: Wish) -> Missing:
    """Which of the analyses that are asked for a sweep lacks."""
    found = [] if wish.scope == NONE else _lacking(store, sweep, wish)
    lost = _without_checkpoint(store, found)
    return Missing(
        [item for item in found if item.trial["trial_id"] not in lost],
        [item for item in found if item.trial["trial_id"] in lost],
    )


def _without_checkpoint(store: Store, todo: Sequence[Todo]) -> set[str]:
    """Trials to be analyzed that were imported; what was trained here after all has its own."""
    imported = imported_runs(store) if todo else set()
    trials = [item.trial for item in todo]
    return {
        row["trial_id"]
        for row in trials
        if (row["trial_id"], row["run_id"]) in imported
        if not store.exists(snapshot_key(row["trial_id"], int(row["steps_run"]), row["run_id"]))
    }


def _lacking(store: Store, sweep: str, wish: Wish) -> list[Todo]:
    trials = read_table(store, "trials", sweep)
    trials = trials[trials["phase"] != DIVERGED]
    marks = read_table(store, "analyses", sweep, columns=["trial_id", "analysis", "settings"])
    done = set(marks.itertuples(index=False, name=None))
    shown = representatives(trials)
    out = []
    for row in trials.to_dict("records"):
        names = tuple(
            a.name
            for a in chosen(wish.names)
            if row["family"] in a.families
            if wish.scope == ALL or a.quick or row["trial_id"] in shown
            if (row["trial_id"], a.name, wish.settings_of(a)) not in done
        )
        if names:
            out.append(Todo(row, names))
    return out


def adopt(store: Store, sweep: str, todo: Sequence[Todo], wish: Wish) -> None:
    """Copy the rows of analyses that another sweep has done."""
    ids = [t.trial["trial_id"] for t in todo]
    run_of = {t.trial["trial_id"]: t.trial["run_id"] for t in todo}
    lacking = {
        (t.trial["trial_id"], n, wish.settings_of(BY_NAME[n])) for t in todo for n in t.names
    }

    def of_run(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if row["run_id"] == run_of[row["trial_id"]]]

    marks = [
        mark
        for mark in of_run(read_rows(store, "analyses", ids))
        if (mark["trial_id"], mark["analysis"], mark["settings"]) in lacking
    ]
    for name in {mark["analysis"] for mark in marks}:
        mine = [mark for mark in marks if mark["analysis"] == name]
        known = [mark["trial_id"] for mark in mine]
        for table in BY_NAME[name].tables:
            write_rows(store, table, sweep, of_run(read_rows(store, table, known)))
        write_rows(store, "analyses", sweep, mine)


def batches(todo: Sequence[Todo], size: int) -> Iterator[list[Todo]]:
    """Trials that can go together, as one kind; the most expensive first."""
    groups: dict[tuple[Hashable, tuple[str, ...]], list[Todo]] = {}
    for item in todo:
        groups.setdefault((item.config.kind, item.names), []).append(item)
    for _, group in sorted(groups.items(), key=lambda g: -len(g[0][-1])):
        for i in range(0, len(group), size):
            yield group[i : i + size]
