"""What the page shows of all trials at once: settings, outcomes, measures, curves in brief."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from grokmodel.configs import AXES, CONFIGS
from grokmodel.core.outcome import OF_PAIRS, PHASES
from service.colors import PHASE_COLORS
from service.store.store import Store
from service.tables import clocks
from service.tables.headlines import TITLES, headlines
from service.tables.names import varied_fields
from service.tables.reading import read_table
from service.tables.typical import representatives

DIGITS = 4
OUTCOMES = {
    "val_acc_strict": "strict accuracy",
    "val_acc": "validation accuracy",
    "train_acc": "training accuracy",
    "val_acc_strict_final": "strict, final steps",
    "val_acc_strict_1step": "strict, one step",
    "val_acc_heldout": "validation, unseen images",
    "val_acc_strict_heldout": "strict, unseen images",
    "n_strict": "number of strict pairs",
}
CLOCKS = {
    "train_step": "training pairs learned",
    "val_step_strict": "strict pairs learned",
    "lag": "lag",
    "tau_rule": "tau rule",
    "tau_mem": "tau mem",
}
CURVES = {"strict": "val_acc_strict", "val": "val_acc", "train": "train_acc"}
CURVE_TITLES = {
    "strict": "accuracy on strict pairs",
    "val": "accuracy on validation pairs",
    "train": "accuracy on training pairs",
}
POINTS = 40
"""Of a curve in the overview, at most."""


def overview(
    store: Store, sweep: str, trials: pd.DataFrame, with_headlines: bool
) -> dict[str, Any]:
    """Everything that the page needs before a trial is opened; JSON without NaN.

    Args:
        trials: rows of `trials`.
        with_headlines: the numbers of analyses too, which are not there while a sweep is trained.
    """
    axes = [name for name in varied_fields(trials) if trials[name].nunique() > 1]
    titles, curve_titles = titles_of(trials["family"].unique())
    numbers = {name: titles[name] for name in OUTCOMES if trials[name].notna().any()}
    columns = {name: rounded(trials[name]) for name in numbers}
    words: dict[str, list[str | None]] = {}
    for name in CLOCKS:
        steps, text = _clock(trials, name)
        if any(text):
            numbers[name], columns[name], words[name] = titles[name], steps, text
    found = headlines(store, sweep, list(trials["trial_id"])) if with_headlines else {}
    for name, title in TITLES.items():
        values = [found.get(trial_id, {}).get(name) for trial_id in trials["trial_id"]]
        if any(value is not None for value in values):
            numbers[name], columns[name] = title, rounded(values)
    return {
        "sweep": sweep,
        "phases": [{"name": p, "color": PHASE_COLORS[p]} for p in PHASES],
        "axes": [_axis(trials, name) for name in axes],
        "fixed": _fixed(trials, axes),
        "numbers": numbers,
        "curve_titles": curve_titles,
        "curve_names": {
            family: dataclasses.asdict(CONFIGS[family].curve_names)
            for family in sorted(trials["family"].unique())
        },
        "trial": list(trials["trial_id"]),
        "seed": [int(seed) for seed in trials["seed"]],
        "phase": list(trials["phase"]),
        "setting": {name: [_plain(v) for v in trials[name]] for name in axes},
        "column": columns,
        "words": words,
        "last": [int(steps) for steps in trials["steps_run"]],
        "typical": representatives(trials),
        "curve": _curves(store, sweep, trials),
    }


def titles_of(families: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Titles of numbers and of curves. A family that learns no pairs has its own; several families
    together have those of pairs."""
    names = CONFIGS[families[0]].curve_names if len(families) == 1 else OF_PAIRS
    if names is OF_PAIRS:
        return OUTCOMES | CLOCKS, CURVE_TITLES
    its = names.accuracies
    clocks_of_its = {
        "train_step": f"learned: {its['train_acc']}",
        "val_step_strict": f"learned: {its['val_acc_strict']}",
    }
    curves = {name: its[column] for name, column in CURVES.items() if column in its}
    return {**OUTCOMES, **CLOCKS, **its, **clocks_of_its}, curves


def _fixed(trials: pd.DataFrame, axes: Sequence[str]) -> dict[str, Any]:
    """The axes whose values are the same in all trials; those of other families have none."""
    if not len(trials):
        return {}
    first = trials.iloc[0]
    names = [n for n in AXES if n not in (*axes, "seed") and pd.notna(first[n])]
    return {name: _plain(first[name]) for name in names}


def _axis(trials: pd.DataFrame, name: str) -> dict[str, Any]:
    field = AXES[name]
    values = [_plain(v) for v in sorted(trials[name].dropna().unique())]
    return {"name": name, "meaning": field.meaning, "unit": field.unit, "values": values}


def _clock(trials: pd.DataFrame, name: str) -> tuple[list[float | None], list[str | None]]:
    """Steps, null where they are not known; and as text, `> N` where it is not by N."""
    steps = clocks.clock(trials, name)["steps"].reindex(trials.index)
    return rounded(steps), clocks.cells(trials, name)


def _curves(store: Store, sweep: str, trials: pd.DataFrame) -> dict[str, list[list[Any]]]:
    """Of every trial its steps and accuracies, at most POINTS of them, evenly spaced in log."""
    wanted = ["trial_id", "run_id", "step", *CURVES.values()]
    rows = read_table(store, "curves", sweep, columns=wanted).sort_values(["trial_id", "step"])
    of_trial, nothing = rows.groupby("trial_id").indices, np.arange(0)
    found = [of_trial.get(trial_id, nothing) for trial_id in trials["trial_id"]]
    shown = [nothing, *(mine[few(len(mine), POINTS)] for mine in found)]
    rows = rows.iloc[np.concatenate(shown)]
    columns = {"step": rows["step"].tolist()}
    columns |= {name: rounded(rows[column], 3) for name, column in CURVES.items()}
    borders = np.cumsum([len(mine) for mine in shown]).tolist()
    return {
        name: [values[start:end] for start, end in pairwise(borders)]
        for name, values in columns.items()
    }


def few(count: int, most: int) -> np.ndarray:
    """Places of at most so many of some points: the first, the last, and log-spaced between."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.geomspace(1, count, most).round().astype(int) - 1)


def rounded(values: Iterable[Any], digits: int = DIGITS) -> list[float | None]:
    """Numbers of so many significant digits, null for what was not measured: JSON knows no NaN."""
    number = np.array([np.nan if v is None or v is pd.NA else v for v in values], float)
    known = np.isfinite(number)
    scale = 10.0 ** (
        digits - 1 - np.floor(np.log10(np.where(known & (number != 0), abs(number), 1)))
    )
    # what is whole stays so: steps have more digits than accuracies
    is_whole = known & (number == np.round(number))
    short = np.where(is_whole, number, np.round(number * scale) / scale)
    return [
        None if not is_known else int(value) if whole else value
        for value, is_known, whole in zip(short.tolist(), known.tolist(), is_whole.tolist())
    ]


def columns_of(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, list[Any]]:
    """Columns of a frame for JSON."""
    return {
        name: rounded(frame[name])
        if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool
        else [_plain(v) for v in frame[name]]
        for name in names
    }


def _plain(value: Any) -> Any:
    """A number of Python; null for what another family has, and this one not."""
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value
