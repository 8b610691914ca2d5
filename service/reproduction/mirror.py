"""The mirror leak: how much of a validation accuracy can a model owe to a + b = b + a?

Under the paper's split (a, b) and (b, a) fall independently. A model that has memorized its
training pairs and merely ignores order gets every validation pair right whose mirror trained. Here
its score is counted over many splits, then looked for in the trials.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from grokmodel.core.outcome import LEARNED
from grokmodel.data.pairs import split_pairs
from grokmodel.image.config import FIELDS, TrialConfig
from service.reproduction.evidence import Evidence

MODULI = (23, 27, 31, 35, 39, 43, 47)
FRACTION = 0.9
SPLITS = 200
"""Splits that are counted for each modulus, one per seed."""
HIGH, LOW = 0.8, 0.5
"""An evaluation shows the leak when it has at least HIGH on all validation pairs and at most LOW on
strict ones."""
MOST = 0.5
CONTROL = "unordered"
"""Name of the experiment whose split leaks nothing."""
PAPERS = {"data": "emnist", "N": 1, "variant": "baseline", "depth": 1, "train_fraction": FRACTION}
"""The paper's single-image setting, whose curves the leak is measured in."""
PAPERS_WORDS = f"one image per symbol of EMNIST and one block at R = {FRACTION:g}"
SETTING = (*PAPERS, "sample_steps")
"""What tells settings apart whose evaluations are not to be counted together."""


@dataclass(frozen=True)
class Ceiling:
    """What a perfect memorizer that ignores order scores at one modulus."""

    P: int
    shares: np.ndarray
    """Share of validation pairs whose mirror trains, of each split that was counted."""
    strict: np.ndarray
    """Strict pairs of each split."""

    @property
    def expected(self) -> float:
        """Mean of the share over all splits, exact: a validation pair off the diagonal has its
        mirror among n of the other P² - 1 pairs."""
        n = round(FRACTION * self.P**2)
        return (self.P - 1) / self.P * n / (self.P**2 - 1)

    @property
    def score(self) -> float:
        """Mean accuracy: mirrored pairs right, strict ones by chance."""
        return self.expected + (1 - self.expected) / self.P

    @property
    def left(self) -> int:
        """Median of the strict pairs."""
        return int(np.median(self.strict))

    @property
    def passes(self) -> float:
        """Share of splits in which it reaches what counts as learned."""
        scores = self.shares + (1 - self.shares) / self.P
        return float((scores >= LEARNED).mean())


@functools.cache
def ceiling(P: int, splits: int = SPLITS) -> Ceiling:
    """Count mirrors over the splits of seeds 0, 1, ..."""
    configs = [TrialConfig(P=P, train_fraction=FRACTION, seed=seed) for seed in range(splits)]
    found = [split_pairs(config).strict for config in configs]
    return Ceiling(
        P,
        np.array([1 - strict.mean() for strict in found]),
        np.array([strict.sum() for strict in found]),
    )


@dataclass(frozen=True)
class Leak:
    """What the trials of the ordered split show of it."""

    trials: int
    evaluations: int
    shown: int
    """Evaluations with high validation and low strict accuracy."""
    shown_trials: int
    longest: pd.Series
    """Steps from the first to the last of them, of each trial that has any."""
    val_only: int
    """Trials that learned all validation pairs but not the strict ones by their last step."""
    lag: pd.Series
    """Steps from the one to the other, where both were learned."""
    before: pd.Series
    """Highest validation accuracy of each trial before its first evaluation with more than LOW of
    the strict pairs right."""
    above: pd.Series
    """Last validation accuracy less what a memorizer would have on just this split."""

    @property
    def share(self) -> float:
        """Of the evaluations."""
        return self.shown / max(self.evaluations, 1)


def leak(trials: pd.DataFrame, curves: pd.DataFrame) -> Leak:
    """Count it in the evaluations of trials with one ordered split each.

    Args:
        trials, curves: rows of the tables; trials of another split are left out.
    """
    trials = trials[(trials["split"] == "ordered") & (trials["n_strict"] > 0)]
    curves = curves[curves["trial_id"].isin(trials["trial_id"])]
    shows = curves[(curves["val_acc"] >= HIGH) & (curves["val_acc_strict"] <= LOW)]
    beyond = curves[curves["val_acc_strict"] > LOW].groupby("trial_id")["step"].min()
    first = curves["trial_id"].map(beyond).fillna(np.inf).astype(float)
    span = shows.groupby("trial_id")["step"].agg(lambda s: s.max() - s.min())
    val, strict = trials["val_step"], trials["val_step_strict"]
    mirrored = 1 - trials["n_strict"] / trials["n_val"]
    return Leak(
        trials=len(trials),
        evaluations=len(curves),
        shown=len(shows),
        shown_trials=shows["trial_id"].nunique(),
        longest=span.astype(float),
        before=curves[curves["step"] < first].groupby("trial_id")["val_acc"].max(),
        val_only=int((val.notna() & strict.isna()).sum()),
        lag=(strict - val).dropna().astype(float),
        above=(trials["val_acc"] - mirrored - (1 - mirrored) / trials["P"]).astype(float),
    )


@dataclass(frozen=True)
class Setting:
    """Trials that differ in their seed alone, or in what the document does not tell apart."""

    values: tuple[object, ...]
    """Of SETTING."""
    trials: pd.DataFrame
    leak: Leak


@dataclass(frozen=True)
class Control:
    """Trials of one modulus whose split leaks nothing."""

    P: int
    trials: pd.DataFrame
    ordered: pd.DataFrame
    """Trials with the ordered split, else the same."""


@dataclass(frozen=True)
class Mirror:
    """What the section of the document is written from."""

    ceilings: tuple[Ceiling, ...]
    leak: Leak | None
    """In the paper's setting; None: no trial of it was trained."""
    settings: tuple[Setting, ...]
    controls: tuple[Control, ...]
    control: pd.DataFrame
    """All their trials."""


def measure(evidence: Evidence) -> Mirror:
    """Count the ceilings and look for the leak in the trials."""
    experiments = tuple(name for name in evidence.ran if name != CONTROL)
    trials, curves = (
        evidence.table(name, experiments, stand_ins=True) for name in ("trials", "curves")
    )
    control = evidence.table("trials", (CONTROL,))
    papers = of_setting(trials, PAPERS)
    settings = trials.groupby(list(SETTING)) if len(trials) else ()
    controls = control.groupby("P") if len(control) else ()
    return Mirror(
        tuple(map(ceiling, MODULI)),
        leak(papers, curves) if len(papers) else None,
        tuple(Setting(key, group, leak(group, curves)) for key, group in settings),
        tuple(Control(P, group, of_setting(trials, _recipe(group, trials)))
              for P, group in controls),
        control,
    )  # fmt: skip


def of_setting(trials: pd.DataFrame, setting: Mapping[str, object]) -> pd.DataFrame:
    """Trials with these values."""
    for column, value in setting.items():
        trials = trials if trials.empty else trials[trials[column] == value]
    return trials


def _recipe(control: pd.DataFrame, ordered: pd.DataFrame) -> dict[str, object]:
    """All that trials have been given but their split and seed."""
    names = set(FIELDS) - {"split", "seed"}
    return {c: control[c].iloc[0] for c in ordered if c in names and c in control}
