"""One page a sweep: self-contained HTML that opens offline and inside MLflow's pages.

Everything on it comes from tables and figures of the store. The template is `report.html.j2`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grokmodel.core.outcome import PHASES
from grokmodel.image.config import FIELDS
from service.report.figures import DPI, PHASE_COLORS
from service.report.phase_figures import varied_axes
from service.report.sweep_figures import MEASURES, measure
from service.report.trial_figures import TRIAL_FIGURES
from service.store import keys
from service.store.store import Store
from service.tables import clocks
from service.tables.reading import read_table
from service.tables.typical import MEASURES as TYPICAL
from service.tables.typical import representatives
from service.text import config_value, measured

OUTCOMES = {
    "phase": "phase",
    "train_acc": "train",
    "val_acc": "val",
    "val_acc_strict": "strict",
    "val_acc_strict_final": "strict, final steps",
    "val_acc_strict_1step": "strict, 1 step",
    "val_acc_heldout": "val, unseen images",
    "val_acc_strict_heldout": "strict, unseen images",
}
CLOCKS = {
    "train_step": "train step",
    "val_step_strict": "strict step",
    "tau_rule": "tau rule",
    "tau_mem": "tau mem",
}
SWEEP_CAPTIONS = {
    "phase-": "Phases of each cell: its trials share it, color by color; numbers are trials.",
    "grok-step-": "When strict pairs are learned, and how long after the training pairs: medians "
    "over all trials of a cell that can tell, n/m: n of m have learned. Gray, > N, not by N: the "
    "median is not reached by the last step, N; it may come later.",
    "curves": "Accuracies of all trials, by phase.",
    "heads": "What share of its power each attention head has at each frequency, in its scores at "
    "t = 1: mean over both operands. Large dots: more than the strongest one has with the classes "
    "in random order (p of 0.05 or less); small: other key frequencies of the head. Specialized "
    "heads alone do not make a rule: see the accuracy on strict pairs.",
    "measures": "Measures of the analyses by phase, with the number of trials that have them: a "
    "point per trial, a bar the median.",
    "alignment": "Critical level predicted from FVE entropy against observed by rectifying.",
}
TRIAL_CAPTIONS = {
    "spectra": "Variance explained by each frequency at every hook point, at pure noise; `target` "
    "is what a perfect output would show.",
    "training": "Progress measures, ends of samples and complexity over training. Shaded: "
    "memorization, circuit formation, clean-up, as far as the trial came by its last step.",
    "identities": "Neurons along directions from the output side, regressed on products of cos and "
    "sin; gray: random directions.",
    "ablations": "Strict accuracy with frequencies removed or only kept. `within-split fit` has no "
    "projection leak.",
    "timesteps": "Started from the right or a wrong result at each level; operands swapped on the "
    "way; arithmetic blocked in a part of sampling.",
    "representation": "How hook points arrange the pairs, and how states of one result merge; at "
    "t = 0 the c-token is shown the answer.",
}
TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Picture:
    """A figure as it stands in the page."""

    title: str
    caption: str
    data: str
    """PNG, base64."""
    width: int
    """Of the figure as it was laid out, in CSS pixels."""


@dataclass(frozen=True)
class Grid:
    """A table as it stands in the page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Typical:
    """The trial that stands for its phase."""

    phase: str
    trial_id: str
    why: str
    """By what it is the one in the middle."""
    settings: str
    pictures: Sequence[Picture]
    grids: Sequence[Grid]


def key(sweep: str) -> str:
    return f"{keys.figures_prefix(sweep)}/report.html"


def page(store: Store, sweep: str) -> str:
    """The report as HTML."""
    trials = read_table(store, "trials", sweep)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(TEMPLATE).render(
        sweep=sweep,
        trials=len(trials),
        phases=[(p, int((trials["phase"] == p).sum()), PHASE_COLORS[p]) for p in PHASES],
        sweep_pictures=list(_sweep_pictures(store, sweep)),
        trial_grid=_trial_grid(store, sweep, trials),
        typical=[_typical(store, sweep, trials, i) for i in representatives(trials)],
        other_grids=[g for g in (_costs(store, sweep), _failures(store, sweep)) if g.rows],
    )


def _sweep_pictures(store: Store, sweep: str) -> Sequence[Picture]:
    prefix = keys.figures_prefix(sweep)
    names = [k.removeprefix(f"{prefix}/") for k in store.list(prefix) if k.endswith(".png")]
    return [
        _picture(store, f"{prefix}/{name}", name.removesuffix(".png"), caption)
        for start, caption in SWEEP_CAPTIONS.items()
        for name in names
        if name.startswith(start)
    ]


def _picture(store: Store, path: str, title: str, caption: str) -> Picture:
    data = store.get(path)
    pixels = int.from_bytes(data[16:20], "big")  # the width in the header of a PNG
    return Picture(title, caption, base64.b64encode(data).decode(), round(pixels * 96 / DPI))


def _trial_grid(store: Store, sweep: str, trials: pd.DataFrame) -> Grid:
    """Every trial: what varies, what it came to, and what the analyses say of it."""
    axes = [*varied_axes(trials), *(["seed"] if trials["seed"].nunique() > 1 else [])]
    trials = trials.set_index("trial_id", drop=False)
    frame = trials[axes].map(config_value)  # rounded, two trials could look the same
    frame = frame.join(trials[[*OUTCOMES]].rename(columns=OUTCOMES))
    for column, title in CLOCKS.items():
        frame[title] = clocks.cells(trials, column)
    for title in MEASURES:
        values = measure(store, sweep, trials, title)
        if not values.empty:
            frame[title] = values["value"]
    critical = read_table(store, "critical", sweep).set_index("trial_id")
    if not critical.empty:
        frame["critical, observed"] = critical["observed"]
        frame["critical, predicted"] = critical["predicted"]
    frame = frame.dropna(axis=1, how="all").reset_index()
    return _grid("Trials", frame)


def _typical(store: Store, sweep: str, trials: pd.DataFrame, trial_id: str) -> Typical:
    """What is shown of the trial that stands for its phase."""
    row = trials[trials["trial_id"] == trial_id].iloc[0]
    pictures = [
        _picture(store, path, name, TRIAL_CAPTIONS.get(name, ""))
        for name in TRIAL_FIGURES
        if store.exists(path := keys.trial_figure_key(sweep, trial_id, f"{name}.png"))
    ]
    config = {name: row[name] for name in FIELDS}
    settings = ", ".join(f"{name} {config_value(value)}" for name, value in config.items())
    grids = [
        _grid(title, read_table(store, table, sweep, [trial_id])[columns])
        for title, table, columns in (
            ("Heads, at t = 1", "heads", ["block", "head", "margin", "margin_patched",
             "margin_ablated", "acc_strict", "acc_strict_patched", "acc_strict_ablated"]),
            ("Local learning coefficient", "learning_coefficient",
             ["chain", "llc", "loss", "loss_of_chain", "samples", "resolution"]),
            ("Progress measures", "progress",
             ["step", "train_loss", "strict_loss", "restricted_loss", "excluded_loss",
              "restricted_acc", "restricted_acc_within_split", "excluded_acc"]),
        )
    ]  # fmt: skip
    count = int((trials["phase"] == row["phase"]).sum())
    others = f"the {count} trials of its phase" if count > 1 else "its phase, the only one"
    why = f"In the middle of {others}, by {TYPICAL[row['phase']][1]}."
    return Typical(row["phase"], trial_id, why, settings, pictures, [g for g in grids if g.rows])


def _costs(store: Store, sweep: str) -> Grid:
    marks = read_table(store, "analyses", sweep)
    marks = marks[marks["settings"] == ""]
    seconds = marks.groupby("analysis")["seconds"]
    frame = pd.DataFrame({"trials": seconds.count(), "s per trial (median)": seconds.median()})
    return _grid("What the analyses took", frame.reset_index())


def _failures(store: Store, sweep: str) -> Grid:
    frame = read_table(store, "failures", sweep)
    return _grid("Analyses that failed", frame[["trial_id", "analysis", "error", "message"]])


def _grid(title: str, frame: pd.DataFrame) -> Grid:
    cells = [config_value if name in FIELDS else measured for name in frame.columns]
    rows = [
        [cell(value) for cell, value in zip(cells, row)]
        for row in frame.itertuples(index=False, name=None)
    ]
    return Grid(title, list(frame.columns), rows)
