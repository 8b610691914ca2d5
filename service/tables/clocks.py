"""Clocks of trials: the step at which something was learned, or that it was not by the last one.

A null is a censored value: not by `steps_run`, which does not say that more steps would not have
brought it. Where there was nothing to measure, such as no strict pair, there is no clock at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Median:
    """The median of a clock over some trials, as far as it is known."""

    low: float
    high: float
    """It lies between these; infinite: half of the trials or more are not known to get there."""
    known: int
    """Trials that have learned ..."""
    size: int
    """... of so many in which that can be told."""
    last: tuple[float, float]
    """Fewest and most steps after which a trial had not learned; NaN if all have."""

    @property
    def is_known(self) -> bool:
        return self.low == self.high

    @property
    def words(self) -> str:
        """`1,500`, `> 3,000`, `not by 3,000`; `-` without a trial."""
        low, high = f"{self.low:,.0f}", f"{self.high:,.0f}"
        if not self.size:
            return "-"
        first, last = (f"{steps:,.0f}" for steps in self.last)
        if not self.known:
            return f"not by {last}" if first == last else f"not by {first} to {last}"
        if math.isinf(self.high):  # where budgets differ, the bound may be a step that was reached
            return f"> {low}" if first == last else f">= {low}"
        return low if self.is_known else f"{low} to {high}"

    def __str__(self) -> str:
        """The words, and how many of the trials have learned if not all or none."""
        some = f" ({self.known} of {self.size})" if 0 < self.known < self.size else ""
        return self.words + some


def clock(trials: pd.DataFrame, column: str) -> pd.DataFrame:
    """The trials in which one of the clocks of `trials`, or `lag`, can be told, with it as `steps`,
    NaN if it was not reached, and with the trial's last step as `last`."""
    if column == "lag":
        return lag(trials)
    mine = trials[_can_tell(trials, column)]
    return mine.assign(steps=mine[column].astype(float), last=mine["steps_run"].astype(float))


def lag(trials: pd.DataFrame) -> pd.DataFrame:
    """`clock` of the steps from training pairs learned to strict pairs learned, of those trials
    in which the former are."""
    mine = clock(trials[trials["train_step"].notna()], "val_step_strict")
    learned = mine["train_step"].astype(float)
    return mine.assign(steps=mine["steps"] - learned, last=mine["last"] - learned)


def with_lag(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with a column `lag`: the steps from training pairs learned to strict pairs
    learned; NaN where one of them was not by the last step, or cannot be told."""
    return trials.assign(lag=lag(trials)["steps"])


def _can_tell(trials: pd.DataFrame, column: str) -> pd.Series:
    """Trials with something to tell by: strict pairs, or several images to copy."""
    if column in ("val_step_strict", "tau_rule"):
        return trials["val_acc_strict"].notna()
    if column == "tau_mem":
        return (trials["N"] > 1) | (trials["family"] == "rules")
    return pd.Series(True, trials.index)


def median(found: pd.DataFrame) -> Median:
    """The median of a clock over all its trials."""
    nothing = Median(math.nan, math.nan, 0, 0, (math.nan, math.nan))
    return medians(found.assign(all=0), ["all"]).get(0, nothing)


def medians(found: pd.DataFrame, by: Sequence[str]) -> dict[Any, Median]:
    """The median of each group of trials; those of which nothing can be told are left out."""
    steps, last = found["steps"], found["last"]
    bounds = {"low": steps.fillna(last), "high": steps.fillna(math.inf), "steps": steps}
    frame = pd.DataFrame({**bounds, "open": last.where(steps.isna())})
    groups = frame.groupby([found[column].to_numpy() for column in by]).agg(
        low=("low", "median"), high=("high", "median"), known=("steps", "count"),
        size=("low", "size"), first=("open", "min"), last=("open", "max"),
    )  # fmt: skip
    return {
        key: Median(low, high, int(known), int(size), (first, last))
        for key, low, high, known, size, first, last in groups.itertuples(name=None)
    }


def cells(trials: pd.DataFrame, column: str) -> list[str | None]:
    """A clock of each trial as text: `1500`, `> 3000` if not by its last step; None: none."""
    trials = trials.reset_index(drop=True)
    found = clock(trials, column)[["steps", "last"]].reindex(trials.index)
    return [
        None if pd.isna(last) else f"> {last:.0f}" if pd.isna(steps) else f"{steps:.0f}"
        for steps, last in found.itertuples(index=False)
    ]
