"""Planes of two axes: the phase of every cell, and when its trials generalise."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from grokmodel.core.outcome import PHASES
from grokmodel.image.config import AXES
from service.report.figures import PHASE_COLORS, PHASE_LABELS, new_figure, plane_in, tick_places
from service.tables.summary import counted

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
STEP_COLORS, NEVER = matplotlib.colormaps["viridis_r"], "#D9D9D9"
TEXT_IN = (0.43, 0.3)
"""Inches that a cell's text takes: `123,456` over `3/3`."""
PLANE_COLUMNS = ("data", "phase", "seed", "train_step", "val_step_strict")
"""What the figures of a plane need of `trials`, apart from its axes."""


class Cell(NamedTuple):
    """How a cell of a plane is drawn."""

    color: Any
    text: str
    ink: str = "black"


def varied_axes(trials: pd.DataFrame) -> list[str]:
    """Config columns with more than one value in `trials`, seeds apart; most values first."""
    names = list(AXES)
    columns = [c for c in names if c not in ("seed", "patch") and trials[c].nunique() > 1]
    return sorted(columns, key=lambda c: -trials[c].nunique())


def phase_diagram(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """Colour: the commonest phase of a cell; text: how many of its trials are in it."""
    xs, ys = sorted(trials[x].unique()), sorted(trials[y].unique())
    width, height = plane_in((len(xs), len(ys)), (0.85, 0.62))
    figure, axes = new_figure(1.6 + width, 1.5 + height)
    ax: Axes = axes[0, 0]
    cells = {}
    for place, counts in _phase_counts(trials, xs, ys, x, y).items():
        phase = max(PHASES, key=counts.__getitem__)  # the first of those that are commonest
        text = f"{PHASE_LABELS[phase]}\n{counts[phase]}/{counts.total()}"
        cells[place] = Cell(PHASE_COLORS[phase], text)
    _cells(ax, cells, (len(xs), len(ys)), _has_room(xs, ys, width, height))
    _axes(ax, xs, ys, x, y)
    ax.set_title(f"Phase ({_title(trials)})", fontsize=9)
    shown = [p for p in PHASES if (trials["phase"] == p).any()]
    handles = [Patch(facecolor=PHASE_COLORS[p], label=p) for p in shown]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def grok_steps(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """When strict pairs are learned, and how long after the training pairs (medians of a cell)."""
    xs, ys = sorted(trials[x].unique()), sorted(trials[y].unique())
    width, height = plane_in((len(xs), len(ys)), (0.8, 0.55))
    figure, axes = new_figure(2 * (1.4 + width), 1.5 + height, 1, 2)
    has_room = _has_room(xs, ys, width, height)
    lag = trials["val_step_strict"] - trials["train_step"]
    panels = (
        (axes[0, 0], trials["val_step_strict"], "step at which strict pairs are learned"),
        (axes[0, 1], lag, "lag behind training pairs (steps)"),
    )
    for ax, values, title in panels:
        norm = Normalize(0, max(float(values.max()), 1.0) if values.notna().any() else 1.0)
        medians = values.astype(float).groupby([trials[x], trials[y]])
        summary = medians.agg(["median", "count", "size"])
        cells = {
            (xs.index(value_x), ys.index(value_y)): _step_cell(median, known, size, norm)
            for (value_x, value_y), median, known, size in summary.itertuples(name=None)
        }
        _cells(ax, cells, (len(xs), len(ys)), has_room)
        _axes(ax, xs, ys, x, y)
        if not has_room:  # the scale has to say what no text does
            figure.colorbar(ScalarMappable(norm, STEP_COLORS), ax=ax, format="{x:,.0f}")
            title += "; grey: never"
        ax.set_title(title, fontsize=9)
    return figure


def _step_cell(median: float, known: int, size: int, norm: Normalize) -> Cell:
    """The median of those of a cell's trials that have learned."""
    if not known:
        return Cell(NEVER, "never")
    color = STEP_COLORS(norm(median))
    ink = "white" if sum(to_rgb(color)) < 1.3 else "black"
    return Cell(color, f"{median:,.0f}\n{known}/{size}", ink)


def _phase_counts(
    trials: pd.DataFrame, xs: list[Any], ys: list[Any], x: str, y: str
) -> dict[tuple[int, int], Counter[str]]:
    """Trials by phase of each cell that has any; cells are places in `xs` and `ys`."""
    counts: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    sizes = trials.groupby([x, y, "phase"]).size()
    for (value_x, value_y, phase), n in sizes.items():
        counts[xs.index(value_x), ys.index(value_y)][phase] = n
    return counts


def _has_room(xs: Sequence[Any], ys: Sequence[Any], width: float, height: float) -> bool:
    """Whether the cells of a plane of some inches can hold text."""
    return width / len(xs) >= TEXT_IN[0] and height / len(ys) >= TEXT_IN[1]


def _cells(
    ax: Axes, cells: Mapping[tuple[int, int], Cell], shape: tuple[int, int], has_room: bool
) -> None:
    """Those of a plane that have trials, all colours at once: one by one they take minutes.

    Many are a picture in an SVG too, and have no lines between them, which would cover them.
    """
    nx, ny = shape
    color_YX4 = np.zeros((ny, nx, 4))
    for (i, j), cell in cells.items():
        color_YX4[j, i] = to_rgba(cell.color)
        if has_room:
            ax.text(
                i + 0.5, j + 0.5, cell.text, ha="center", va="center", fontsize=7.5, color=cell.ink
            )
    width = 1 if has_room else 0
    ax.pcolormesh(color_YX4, edgecolors="white", linewidth=width, rasterized=not has_room)


def _axes(ax: Axes, xs: Sequence[Any], ys: Sequence[Any], x: str, y: str) -> None:
    for values, name, field in ((xs, "x", x), (ys, "y", y)):
        places = tick_places(len(values))
        getattr(ax, f"set_{name}ticks")(places + 0.5, [_short(values[i]) for i in places])
        getattr(ax, f"set_{name}label")(UNITS.get(field, field))
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def _title(trials: pd.DataFrame) -> str:
    data = ", ".join(sorted(trials["data"].unique()))
    return f"{data}; {counted(trials)}"
