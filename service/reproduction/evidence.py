"""What the tables hold for a claim: the sweeps of its experiments, their rows, numbers in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from grokmodel.image.config import TrialConfig
from service.tables.summary import counted

REPRODUCED, PARTLY, NOT, NOT_RUN = "reproduced", "partly", "not reproduced", "not run"
INCONCLUSIVE = "inconclusive"
"""There are trials that do not decide. Rules say `not run` of both, `judge` tells them apart."""
VERDICTS = (REPRODUCED, PARTLY, NOT, INCONCLUSIVE, NOT_RUN)
BEYOND_MIRROR = 0.5
"""Share of the strict pairs that must be right at the end for an accuracy on all validation pairs
to count: a memorizer that ignores order reaches 0.95 on these in some splits."""
STEPS_FINAL = TrialConfig.final_sample_steps
"""Euler steps of the final samples."""
SAMPLED = 0.5
"""Share of the strict pairs that the final samples, of many steps, must get right for the analyses
of sampling to count."""
P = 23
"""Modulus of the claims on frequencies, identities and rectified samples."""
ABOUT = ("trial_id", "data", "P", "N", "train_fraction", "variant", "depth", "heads", "ffn",
         "split", "sample_steps", "seed", "phase", "learned", "sampled", "n_strict",
         "n_val")  # fmt: skip
"""Columns of a trial that its analyses are told apart by."""


@dataclass(frozen=True)
class Ran:
    """What there is of an experiment in a store."""

    experiment: str
    title: str
    sweep: str = ""
    """Empty: it was not run, for `reason`."""
    scale: str = ""
    words: str = ""
    """What the scale is."""
    is_full: bool = False
    """The paper's scale, all of it, on the paper's images."""
    stand_in: bool = False
    """On other images than the paper's."""
    planned: int = 0
    """Trials that the scale has."""
    done: int = 0
    reason: str = ""
    """Why it was not run, or not larger."""
    trial_ids: frozenset[str] = frozenset()
    """All trials that the scale has."""


@dataclass(frozen=True)
class Finding:
    """What the tables say of a claim."""

    verdict: str
    measured: tuple[str, ...]
    """Numbers in words, the most telling first."""
    short: str = ""
    """The first of them, for a table."""


@dataclass
class Evidence:
    """The experiments of a reproduction and their tables."""

    read: Callable[[str, str], pd.DataFrame]
    """(table, `sweep` of a Ran) -> the rows of its trials, whichever sweep they are in."""
    ran: Mapping[str, Ran]
    _cache: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict)

    def of(self, experiments: Sequence[str], *, stand_ins: bool = False) -> list[Ran]:
        """Those of these experiments that have finished trials.

        Args:
            stand_ins: also those on other images than the paper's, which judge nothing.
        """
        found = (self.ran.get(name) for name in experiments)
        done = [ran for ran in found if ran is not None and ran.sweep and ran.done]
        return [ran for ran in done if stand_ins or not ran.stand_in]

    def stand_ins(self) -> Evidence:
        """Runs on other images alone, as if these were the paper's: for showing."""
        ran = {n: replace(r, stand_in=False) for n, r in self.ran.items() if r.stand_in}
        return Evidence(self.read, ran, self._cache)

    def table(
        self, name: str, experiments: Sequence[str], *, stand_ins: bool = False
    ) -> pd.DataFrame:
        """Rows of these experiments, each with its experiment, scale and what its trial was."""
        found = self.of(experiments, stand_ins=stand_ins)
        if not found:
            return pd.DataFrame()
        parts = [self._rows(name, ran) for ran in found]
        rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
        own = [c for c in rows if c not in ("experiment", "scale", "sweep")]
        return rows.drop_duplicates(own, ignore_index=True)  # trials that experiments share

    def _rows(self, name: str, ran: Ran) -> pd.DataFrame:
        key = (name, ran.sweep)
        if key not in self._cache:
            rows = self.read(name, ran.sweep)
            if name == "trials":
                rows = rows.assign(learned=has_learned(rows), sampled=sampled(rows))
            else:
                rows = rows.merge(self._rows("trials", ran)[list(ABOUT)], on="trial_id")
            self._cache[key] = rows.assign(experiment=ran.experiment, scale=ran.scale)
        return self._cache[key]


def has_learned(trials: pd.DataFrame) -> pd.Series:
    """Which trials learned the held-out pairs, and not only their mirrors: see BEYOND_MIRROR."""
    beyond = trials["val_acc_strict"].fillna(0.0) >= BEYOND_MIRROR
    return trials["val_step_strict"].notna() | (trials["val_step"].notna() & beyond)


def sampled(trials: pd.DataFrame, share: float = SAMPLED) -> pd.Series:
    """Which trials get that share of the strict pairs right by the final samples, of many steps."""
    return trials["val_acc_strict_final"].fillna(0.0) >= share


def learned(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of trials that learned the held-out pairs."""
    return rows if rows.empty else rows[rows["learned"]]


def over_learned(
    table: str, rule: Callable[[pd.DataFrame], Finding]
) -> Callable[[Evidence, Sequence[str]], Finding]:
    """The rule on a table's rows of the trials that learned at the modulus P."""

    def judge(evidence: Evidence, experiments: Sequence[str]) -> Finding:
        rows, trials = (evidence.table(name, experiments) for name in (table, "trials"))
        if trials.empty:
            return Finding(NOT_RUN, ())
        rows = learned(rows[rows["P"] == P])
        return untested(trials[trials["P"] == P]) if rows.empty else rule(rows)

    return judge


def untested(trials: pd.DataFrame) -> Finding:
    """There are no trials, none that learned, or none of these was analyzed."""
    if trials.empty:
        return Finding(NOT_RUN, ())
    if len(learned(trials)):
        words = (
            f"{counted(learned(trials))} learned the held-out pairs, but were not analyzed for this"
        )
        return Finding(NOT_RUN, (words,), "not analyzed")
    words = f"none of {counted(trials)} learned the held-out pairs: there is nothing to look at"
    return Finding(NOT_RUN, (words,), "no trial learned")


def of_parts(verdicts: Sequence[str]) -> str:
    """Of all parts of a claim together; those not run leave it open where they could turn it."""
    if all(v == NOT_RUN for v in verdicts):
        return NOT_RUN
    at_worst = _of_judged([NOT if v == NOT_RUN else v for v in verdicts])
    at_best = _of_judged([REPRODUCED if v == NOT_RUN else v for v in verdicts])
    return NOT_RUN if at_worst == NOT != at_best else at_worst


def _of_judged(verdicts: Sequence[str]) -> str:
    """Partly: half of the parts are met in full, or more than half at least partly."""
    met, partly = verdicts.count(REPRODUCED), verdicts.count(PARTLY)
    if met == len(verdicts):
        return REPRODUCED
    enough = 2 * met >= len(verdicts) or 2 * (met + partly) > len(verdicts)
    return PARTLY if enough else NOT
