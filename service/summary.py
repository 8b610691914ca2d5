"""A sweep in words: trials by phase, and a table with one line a setting."""

from __future__ import annotations

import dataclasses

import pandas as pd

from grokmodel.config import TrialConfig
from grokmodel.outcome import PHASES

RESULTS = {
    "val_acc": "val",
    "val_acc_strict": "strict",
    "val_acc_strict_1step": "strict, 1 step",
    "val_acc_strict_final": "strict, 50 steps",
}


def phase_table(trials: pd.DataFrame) -> str:
    """Trials by phase as text, with what a reader asks next: when, and how well."""
    if trials.empty:
        return "  no trial is done yet"
    lines = [f"  {'phase':<14}{'trials':>7}{'strict acc':>12}{'train step':>12}{'strict step':>13}"]
    for phase in PHASES:
        group = trials[trials["phase"] == phase]
        if group.empty:
            continue
        train, strict = (_step(group[c]) for c in ("train_step", "val_step_strict"))
        accuracy = group["val_acc_strict"].median()
        lines.append(f"  {phase:<14}{len(group):>7}{accuracy:>12.2f}{train:>12}{strict:>13}")
    lines.append("  (medians)")
    return "\n".join(lines)


def settings_table(trials: pd.DataFrame) -> str:
    """One Markdown line a setting: median and range over its seeds.

    Settings are told apart by the config columns that vary; each line names only those of its
    values that differ from the commonest.
    """
    names = [f.name for f in dataclasses.fields(TrialConfig) if f.name != "seed"]
    varied = [name for name in names if trials[name].nunique() > 1]
    usual = {name: trials[name].mode()[0] for name in varied}
    steps = ("train_step", "val_step_strict")
    head = ["setting", "seeds", "phases", *RESULTS.values(), "train step", "strict step", "s"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    groups = trials.groupby(varied, sort=False) if varied else [((), trials)]
    for key, group in groups:
        values = dict(zip(varied, key if isinstance(key, tuple) else (key,), strict=True))
        odd = [f"{k} {_value(v)}" for k, v in values.items() if v != usual[k]]
        counts = group["phase"].value_counts()
        cells = [
            ", ".join(odd) or "as below",
            str(len(group)),
            ", ".join(f"{n} {phase}" for phase, n in counts.items()),
            *(_spread(group[column]) for column in RESULTS),
            *(_step(group[column]) for column in steps),
            f"{group['wall_s'].median():.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    common = ", ".join(f"{k} {_value(v)}" for k, v in usual.items())
    return "\n".join(
        [*lines, "", f"Where a line does not say otherwise: {common or 'one setting'}."]
    )


def _spread(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "-"
    return f"{known.median():.2f} ({known.min():.2f}-{known.max():.2f})"


def _step(values: pd.Series) -> str:
    """Median step, and how many of the trials have one."""
    known = values.dropna()
    if known.empty:
        return "never"
    part = "" if len(known) == len(values) else f" ({len(known)}/{len(values)})"
    return f"{known.median():,.0f}{part}"


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
