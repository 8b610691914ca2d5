"""The figures of REPRODUCTION.md, from table rows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grokmodel.core.outcome import LEARNED
from service.colors import GRAY, RED, SKY, STRICT_COLOR, TRAIN_COLOR, VAL_COLOR
from service.reproduction.evidence import Evidence, learned
from service.reproduction.levels import PAPER_RECTIFY, tells
from service.reproduction.mirror import CONTROL
from service.text import count

LINES = (
    ("train_acc", "training", TRAIN_COLOR),
    ("val_acc", "validation", VAL_COLOR),
    ("val_acc_strict", "strict", STRICT_COLOR),
)
DARK = "#555555"
FEW_STEPS = ", few steps only"
COLUMNS = 4
KINDS = (
    (1, 1, SKY), (1, 2, TRAIN_COLOR), (4, 1, VAL_COLOR), (256, 1, STRICT_COLOR), (256, 2, DARK)
)  # fmt: skip
"""Images per symbol, blocks and color of trials whose levels are drawn."""


def draw(evidence: Evidence) -> dict[str, tuple[Figure, str]]:
    """Name -> figure and caption; only those that there is something to draw for."""
    found = {"curves": _curves(evidence), "levels": _levels(evidence)}
    return {name: pair for name, pair in found.items() if pair is not None}


def _curves(evidence: Evidence) -> tuple[Figure, str] | None:
    rows = evidence.table("curves", tuple(evidence.ran), stand_ins=True)
    if rows.empty:
        return None
    keys = ["experiment", "scale", "data", "P", "N", "variant", "depth", "ffn", "sample_steps"]
    order = {name: i for i, name in enumerate(evidence.ran)}
    panels = sorted(rows.groupby(keys), key=lambda p: (order[p[0][0]], p[0][1:]))
    across = min(COLUMNS, len(panels))
    down = math.ceil(len(panels) / across)
    figure = Figure(figsize=(max(2.9 * across, 5.8), 2.25 * down + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(down, across, squeeze=False, sharey=True).flat)
    for ax, (key, mine) in zip(axes, panels):
        _curve_panel(ax, mine, key)
    for ax in axes[::across]:
        ax.set_ylabel("accuracy", fontsize=8)
    for ax in axes[len(panels):]:  # fmt: skip
        ax.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    caption = (
        "Accuracy over training steps, median and range over seeds, of every experiment that was "
        "run; a seed that settled and stopped keeps its last value. Samples are of as many Euler "
        "steps as a panel says; those of one step tell what a model knows, not how it samples in "
        "many. The paper: training accuracy first, validation accuracy long after. Dashed: what a "
        "memorizer that ignores order scores on just these validation pairs (none without a leak)."
    )
    return figure, caption


def _curve_panel(ax: Axes, rows: pd.DataFrame, key: tuple[object, ...]) -> None:
    for column, label, color in LINES:
        if column == "val_acc" and key[0] == CONTROL:
            continue  # all validation pairs are strict there
        # seeds that settled stopped: they keep their last value in what is drawn
        wide = rows.pivot_table(index="step", columns="trial_id", values=column).ffill()
        ax.plot(wide.index, wide.median(axis=1), color=color, label=label, lw=1.6)
        ax.fill_between(wide.index, wide.min(axis=1), wide.max(axis=1), color=color, alpha=0.15)
    if key[0] != CONTROL:
        splits = rows.drop_duplicates("trial_id")
        strict = splits["n_strict"] / splits["n_val"]
        memorizer = (1 - strict + strict / splits["P"]).mean()
        ax.axhline(memorizer, color=DARK, ls="--", lw=0.9, label="memorizer")
    ax.axhline(LEARNED, color=GRAY, lw=0.6)
    ax.set_ylim(-0.03, 1.03)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.set_title(_title(key), fontsize=8)
    ax.set_xlabel("step", fontsize=8)


def _title(key: tuple[Any, ...]) -> str:
    experiment, scale, data, P, N, variant, depth, ffn, sample_steps = key
    extra = [str(variant)] * (variant != "baseline") + [f"depth {depth}"] * (depth != 1)
    words = ", ".join([str(data), f"P = {P}", f"N = {N}", *extra])
    return f"{experiment} ({scale})\n{words}\nFFN {ffn}, samples of {count(sample_steps, 'step')}"


def _levels(evidence: Evidence) -> tuple[Figure, str] | None:
    experiments = tuple(name for name in evidence.ran if name != CONTROL)
    steps, critical = (evidence.table(name, experiments) for name in ("timesteps", "critical"))
    if steps.empty or critical.empty:
        return None
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    critical = critical.assign(tells=tells(critical))
    steps, critical = learned(steps), learned(critical).dropna(subset=["observed", "predicted"])
    for (N, depth, color), sampled in itertools.product(KINDS, (True, False)):
        name = f"ours, N = {N}" + ", two blocks" * (depth == 2) + FEW_STEPS * (not sampled)
        mine = _of_kind(steps[steps["P"] == 23], N, depth, sampled)
        for i, (_, trial) in enumerate(mine.groupby("trial_id")):
            left.plot(trial["level"], trial["rectify_acc"], color=color, lw=1.2,
                      ls="-" if sampled else ":", label=name if i == 0 else None)  # fmt: skip
        points = _of_kind(critical, N, depth, sampled)
        for counts in (True, False):
            _points(right, points[points["tells"] == counts], color, name, sampled and counts)
    if steps.empty:
        left.text(0.5, 0.5, "no trial of ours learned", transform=left.transAxes, ha="center")
    left.plot(list(PAPER_RECTIFY), list(PAPER_RECTIFY.values()), "D", color=RED,
              label="the paper, N = 256")  # fmt: skip
    left.set(xlabel="noise-step index at the start, of 50", ylabel="share corrected, P = 23")
    right.plot([0, 50], [0, 50], color=GRAY, lw=1, label="predicted = observed")
    right.set(xlabel="predicted critical noise step", ylabel="observed critical noise step")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    caption = (
        "Left: share of the samples from a wrong result, noised, that are corrected to a + b. "
        "Right: the critical noise step predicted from the entropy against the observed one; the "
        "paper reports that they align. Trials on the paper's images that learned; dotted or "
        "hollow are those that are right in few sampling steps but not in many, hollow also "
        "predictions that do not count."
    )
    return figure, caption


def _of_kind(rows: pd.DataFrame, N: int, depth: int, sampled: bool) -> pd.DataFrame:
    return rows[(rows["N"] == N) & (rows["depth"] == depth) & (rows["sampled"] == sampled)]


def _points(ax: Axes, rows: pd.DataFrame, color: str, name: str, filled: bool) -> None:
    """Predicted and observed levels; only what counts is filled and has a name."""
    if len(rows):
        ax.plot(rows["predicted"].astype(float), rows["observed"].astype(float), "o", color=color,
                mfc=color if filled else "none", alpha=0.8,
                label=name if filled else None)  # fmt: skip
