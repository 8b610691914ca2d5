"""A sweep in a store: its tables, and the way to each of its trials."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pandas as pd

from grokmodel.core.outcome import PHASES
from grokmodel.errors import ConfigError
from service.results.errors import ResultError
from service.results.plots import SweepPlots
from service.results.trial import Trial, checked_table
from service.settings import Settings, load_settings
from service.store.manifest import check_known
from service.store.store import Store, StoreError
from service.tables import clocks
from service.tables.reading import read_table
from service.tables.selection import by_prefix
from service.text import count

BEST_FIRST = {
    "val_acc_strict_final": False,
    "val_step_strict": True,
    "train_acc": False,
    "trial_id": True,
}
"""What makes a trial the best of its phase -> whether less is better: accuracy on strict pairs by
`final_sample_steps` samples; of equals the one that learned them first, then the one with more of
the training pairs, then the first id."""


class Sweep:
    """The results of one sweep; what it reads it reads once."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings, self.store = name, settings, Store(settings)
        self.plot = SweepPlots(self.store, name, lambda: self.trials)

    def __repr__(self) -> str:
        counts = _by_phase(self.trials) or "none done"
        return f"Sweep({self.name!r} in {self.store.url!r}: {counts})"

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per finished trial: table `trials`, and the column `lag` of `clocks.with_lag`."""
        return clocks.with_lag(read_table(self.store, "trials", self.name))

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table of this sweep.

        Raises:
            ConfigError: there is no such table.
        """
        return read_table(self.store, checked_table(name), self.name)

    def trial(self, prefix: str) -> Trial:
        """The finished trial whose id begins so.

        Raises:
            NoTrialError: there is none, or there are several.
        """
        row = by_prefix(self.trials, prefix, f"sweep {self.name!r}")
        return Trial(row, self.store, self.settings)

    def best(self, phase: str) -> Trial:
        """The best trial of a phase, by BEST_FIRST.

        Raises:
            ConfigError: there is no such phase.
            ResultError: no trial is in it.
        """
        if phase not in PHASES:
            raise ConfigError("phase", phase, f"one of {', '.join(PHASES)}")
        mine = self.trials[self.trials["phase"] == phase]
        if mine.empty:
            there = _by_phase(self.trials) or "no trial yet"
            raise ResultError(f"sweep {self.name!r} has no trial in phase {phase}: {there}")
        best = mine.sort_values(list(BEST_FIRST), ascending=list(BEST_FIRST.values()))
        return self.trial(best["trial_id"].iloc[0])


def open_sweep(store: str, name: str, data_root: str | None = None) -> Sweep:
    """The results of a sweep.

    Args:
        store: a folder or `s3://bucket/prefix`.
        data_root: folder of the EMNIST, Kuzushiji-49 or Omniglot files, which samples and decoders
            of trials on them need; by default GROK_DATA.

    Raises:
        SettingsError, StoreError: there is no such store, or no such sweep in it.
    """
    settings = load_settings(store, data_root, tracking=False)
    check_store(settings)
    check_known(Store(settings), name)
    return Sweep(name, settings)


def find_trial(settings: Settings, prefix: str, sweep: str | None = None) -> Trial:
    """The finished trial of a store whose id begins so; of a trial that several sweeps have, the
    row of the first of them.

    Args:
        sweep: to look in this one only.

    Raises:
        StoreError: there is no such store or sweep.
        NoTrialError: there is no such trial, or there are several.
    """
    check_store(settings)
    store = Store(settings)
    if sweep is not None:
        check_known(store, sweep)
    trials = read_table(store, "trials", sweep).sort_values("sweep", kind="stable")
    where = f"store {store.url}" if sweep is None else f"sweep {sweep!r}"
    row = by_prefix(clocks.with_lag(trials.drop_duplicates("trial_id")), prefix, where)
    return Trial(row, store, settings)


def check_store(settings: Settings) -> None:
    """Raise a StoreError if the store is a folder that is not there."""
    url = settings.store
    if not url.startswith("s3://") and not Path(url).is_dir():
        raise StoreError(f"store {url}: there is no such folder; need one that a sweep has made")


def _by_phase(trials: pd.DataFrame) -> str:
    counts = trials["phase"].value_counts()
    found = [f"{counts[phase]} {phase}" for phase in PHASES if phase in counts]
    return f"{count(len(trials), 'trial')}, {', '.join(found)}" if found else ""
