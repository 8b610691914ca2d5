"""Planes of two axes: the phase of every cell, and when its trials generalise."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from grokmodel.config import TrialConfig
from grokmodel.outcome import PHASES
from service.figures import PHASE_COLORS, PHASE_LABELS, new_figure
from service.summary import counted

UNITS = {
    "P": "modulus P",
    "N": "images per symbol N",
    "width": "width D",
    "ffn": "FFN hidden units",
    "sandwich_ffn": "hidden units of the sandwich's own FFN",
    "weight_decay": "weight decay",
    "lr": "learning rate",
    "train_fraction": "training fraction R",
    "init_scale": "initial scale",
    "op": "operation",
    "data": "images",
    "t_mean": "mean of logit t",
    "t_std": "spread of logit t",
    "side": "image side (pixels)",
}
PLANE_COLUMNS = ("data", "phase", "seed", "train_step", "val_step_strict")
"""What the figures of a plane need of `trials`, apart from its axes."""


def varied_axes(trials: pd.DataFrame) -> list[str]:
    """Config columns with more than one value in `trials`, seeds apart; most values first."""
    names = [field.name for field in dataclasses.fields(TrialConfig)]
    columns = [c for c in names if c not in ("seed", "patch") and trials[c].nunique() > 1]
    return sorted(columns, key=lambda c: -trials[c].nunique())


def phase_diagram(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """Colour: the commonest phase of a cell; text: how many of its trials are in it."""
    xs, ys = sorted(trials[x].unique()), sorted(trials[y].unique())
    figure, axes = new_figure(1.6 + 0.85 * len(xs), 1.5 + 0.62 * len(ys))
    ax: Axes = axes[0, 0]
    for (i, j), counts in _phase_counts(trials, xs, ys, x, y).items():
        phase = max(PHASES, key=counts.__getitem__)  # the first of those that are commonest
        ax.add_patch(Rectangle((i, j), 1, 1, facecolor=PHASE_COLORS[phase], edgecolor="white"))
        label = f"{PHASE_LABELS[phase]}\n{counts[phase]}/{counts.total()}"
        ax.text(i + 0.5, j + 0.5, label, ha="center", va="center", fontsize=8)
    _plane(ax, xs, ys, x, y)
    ax.set_title(f"Phase ({_title(trials)})", fontsize=9)
    shown = [p for p in PHASES if (trials["phase"] == p).any()]
    handles = [Patch(facecolor=PHASE_COLORS[p], label=p) for p in shown]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def grok_steps(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """When strict pairs are learned, and how long after the training pairs (medians of a cell)."""
    xs, ys = sorted(trials[x].unique()), sorted(trials[y].unique())
    figure, axes = new_figure(2 * (1.4 + 0.8 * len(xs)), 1.5 + 0.55 * len(ys), 1, 2)
    lag = trials["val_step_strict"] - trials["train_step"]
    panels = (
        (axes[0, 0], trials["val_step_strict"], "step at which strict pairs are learned"),
        (axes[0, 1], lag, "lag behind training pairs (steps)"),
    )
    for ax, values, title in panels:
        norm = Normalize(0, max(float(values.max()), 1.0) if values.notna().any() else 1.0)
        color_map = matplotlib.colormaps["viridis_r"]
        cells = values.astype(float).groupby([trials[x], trials[y]])
        summary = cells.agg(["median", "count", "size"])
        for (value_x, value_y), median, known, size in summary.itertuples(name=None):
            i, j = xs.index(value_x), ys.index(value_y)
            color = color_map(norm(median)) if known else "#F2F2F2"
            text = f"{median:,.0f}\n{known}/{size}" if known else "never"
            dark = known and sum(matplotlib.colors.to_rgb(color)) < 1.3
            ax.add_patch(Rectangle((i, j), 1, 1, facecolor=color, edgecolor="white"))
            ink = "white" if dark else "black"
            ax.text(i + 0.5, j + 0.5, text, ha="center", va="center", fontsize=7.5, color=ink)
        _plane(ax, xs, ys, x, y)
        ax.set_title(title, fontsize=9)
    return figure


def _phase_counts(
    trials: pd.DataFrame, xs: list[Any], ys: list[Any], x: str, y: str
) -> dict[tuple[int, int], Counter[str]]:
    """Trials by phase of each cell that has any; cells are places in `xs` and `ys`."""
    counts: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    sizes = trials.groupby([x, y, "phase"]).size()
    for (value_x, value_y, phase), n in sizes.items():
        counts[xs.index(value_x), ys.index(value_y)][phase] = n
    return counts


def _plane(ax: Axes, xs: Sequence[Any], ys: Sequence[Any], x: str, y: str) -> None:
    ax.set_xlim(0, len(xs))
    ax.set_ylim(0, len(ys))
    ax.set_xticks(np.arange(len(xs)) + 0.5, [_short(v) for v in xs])
    ax.set_yticks(np.arange(len(ys)) + 0.5, [_short(v) for v in ys])
    ax.set_xlabel(UNITS.get(x, x))
    ax.set_ylabel(UNITS.get(y, y))
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def _title(trials: pd.DataFrame) -> str:
    data = ", ".join(sorted(trials["data"].unique()))
    return f"{data}; {counted(trials)}"
