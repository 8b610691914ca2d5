"""Planes of two axes: the phase of every cell, and when its trials generalize."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize, to_rgb, to_rgba
from matplotlib.patches import Patch

from grokmodel.core.outcome import PHASES
from service.colors import PHASE_COLORS
from service.report.figures import PHASE_LABELS, Figure, new_figure, plane_in, tick_places
from service.report.scales import LOG, Scale
from service.tables import clocks
from service.tables.names import distinct, varied_fields
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
STEP_COLORS = matplotlib.colormaps["viridis_r"]
OPEN, NONE = "#D9D9D9", "#F3E5D8"
"""Cells whose median is beyond the last step of their trials; in which there is nothing to tell."""
TEXT_IN, LINE_IN = 0.43, 0.15
"""Inches that a cell's text takes: the width of `123,456`, the height of a line."""


class Cell(NamedTuple):
    """How a cell of a plane is drawn."""

    color: Any
    text: str
    ink: str = "black"


def varied_axes(trials: pd.DataFrame) -> list[str]:
    """Config columns with more than one value in `trials`, seeds apart; most values first."""
    return sorted(varied_fields(trials), key=lambda c: -trials[c].nunique())


def phase_diagram(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """Every cell divided among the phases of its trials as these are; text: how many are in each.

    So seeds that disagree look like it, and none is chosen where two phases are as common.
    """
    xs, ys = sorted(trials[x].unique()), sorted(trials[y].unique())
    counts = _phase_counts(trials, xs, ys, x, y)
    lines = max(2, *map(len, counts.values()))
    width, height = plane_in((len(xs), len(ys)), (0.85, max(0.62, lines * LINE_IN)))
    figure, axes = new_figure(max(0.9 + width, 3.6), 2.0 + height)
    ax: Axes = axes[0, 0]
    across, up = Scale(xs), Scale(ys)
    has_room = _has_room(across, up, width, height, lines)
    _stripes(ax, counts, across, up, is_picture=not has_room)
    if has_room:
        for (i, j), found in counts.items():
            text = "\n".join(f"{PHASE_LABELS[p]} {found[p]}" for p in PHASES if found[p])
            place = across.at(i + 0.5), up.at(j + 0.5)
            ax.text(*place, text, ha="center", va="center", fontsize=7.5)
        ax.vlines(across.edges, 0, len(ys), color="white", lw=1)
        ax.hlines(up.edges, 0, len(xs), color="white", lw=1)
    ax.set(xlim=(0, len(xs)), ylim=(0, len(ys)))
    _axes(ax, across, up, x, y)
    title = f"Phase ({_title(trials)})"
    if any(len(found) > 1 for found in counts.values()):
        title += "\na cell is divided as its trials are"
    ax.set_title(title, fontsize=9)
    shown = [p for p in PHASES if (trials["phase"] == p).any()]
    handles = [Patch(facecolor=PHASE_COLORS[p], label=p) for p in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _stripes(
    ax: Axes,
    counts: Mapping[tuple[int, int], Counter[str]],
    across: Scale,
    up: Scale,
    is_picture: bool,
) -> None:
    """A stripe for each phase of a cell, as wide as its share; all at once, and in an SVG a picture
    if there are many."""
    corners, colors = [], []
    for (i, j), found in counts.items():
        left = float(i)
        for phase in (p for p in PHASES if found[p]):
            right = left + found[phase] / found.total()
            (x0, x1), (y0, y1) = across.at([left, right]), up.at([j, j + 1])
            corners.append([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            colors.append(PHASE_COLORS[phase])
            left = right
    ax.add_collection(
        PolyCollection(corners, facecolors=colors, linewidths=0, antialiased=False,
                       rasterized=is_picture)
    )  # fmt: skip


def grok_steps(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """When strict pairs are learned, and how long after the training pairs: medians over all trials
    of a cell, `> N` where that is beyond their last step."""
    xs, ys = sorted(trials[x].unique()), sorted(trials[y].unique())
    width, height = plane_in((len(xs), len(ys)), (0.85, 0.55))
    figure, axes = new_figure(2 * (1.4 + width), 1.5 + height, 1, 2)
    across, up = Scale(xs), Scale(ys)
    has_room = _has_room(across, up, width, height)
    strict = clocks.clock(trials, "val_step_strict")
    panels = (
        (strict, "step at which strict pairs are learned", "no strict pairs"),
        (clocks.lag(trials), "lag behind training pairs (steps)", "training pairs not learned"),
    )
    for ax, (found, title, nothing) in zip(axes[0], panels):
        top = found["steps"].max()
        norm = Normalize(0, max(top, 1.0) if pd.notna(top) else 1.0)
        cells = {
            (xs.index(u), ys.index(v)): Cell(NONE, "-")
            for u, v in sorted({*zip(trials[x], trials[y])})
        }
        for (value_x, value_y), median in clocks.medians(found, [x, y]).items():
            cells[xs.index(value_x), ys.index(value_y)] = _step_cell(median, norm)
        _cells(ax, cells, across, up, has_room)
        _axes(ax, across, up, x, y)
        if not has_room:  # the scale has to say what no text does
            figure.colorbar(ScalarMappable(norm, STEP_COLORS), ax=ax, format="{x:,.0f}")
            title += f"\n(medians; gray: not by the last step; beige: {nothing})"
        else:
            title += "\n(medians; n/m: trials that have learned)"
        ax.set_title(title, fontsize=9)
    return figure


def _step_cell(median: clocks.Median, norm: Normalize) -> Cell:
    """The median of a cell's trials, and how many of them have learned."""
    text = f"{median.words}\n{median.known}/{median.size}".replace("not by ", "not by\n")
    if not median.is_known:
        return Cell(OPEN, text)
    color = STEP_COLORS(norm(median.low))
    return Cell(color, text, "white" if sum(to_rgb(color)) < 1.3 else "black")


def _phase_counts(
    trials: pd.DataFrame, xs: list[Any], ys: list[Any], x: str, y: str
) -> dict[tuple[int, int], Counter[str]]:
    """Trials by phase of each cell that has any; cells are places in `xs` and `ys`."""
    counts: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    sizes = trials.groupby([x, y, "phase"]).size()
    for (value_x, value_y, phase), n in sizes.items():
        counts[xs.index(value_x), ys.index(value_y)][phase] = n
    return counts


def _has_room(across: Scale, up: Scale, width: float, height: float, lines: int = 3) -> bool:
    """Whether the cells of a plane of some inches can hold text of so many lines."""
    cell_in = (
        size / len(scale.values) * scale.narrowest
        for size, scale in ((width, across), (height, up))
    )
    return all(size >= need for size, need in zip(cell_in, (TEXT_IN, lines * LINE_IN)))


def _cells(
    ax: Axes, cells: Mapping[tuple[int, int], Cell], across: Scale, up: Scale, has_room: bool
) -> None:
    """Those of a plane that have trials, all colors at once: one by one they take minutes.

    Many are a picture in an SVG too, and have no lines between them, which would cover them.
    """
    nx, ny = len(across.values), len(up.values)
    color_YX4 = np.zeros((ny, nx, 4))
    for (i, j), cell in cells.items():
        color_YX4[j, i] = to_rgba(cell.color)
        if has_room:
            place = across.at(i + 0.5), up.at(j + 0.5)
            ax.text(*place, cell.text, ha="center", va="center", fontsize=7.5, color=cell.ink)
    width = 1 if has_room else 0
    ax.pcolormesh(across.edges, up.edges, color_YX4, edgecolors="white", linewidth=width,
                  rasterized=not has_room)  # fmt: skip


def _axes(ax: Axes, across: Scale, up: Scale, x: str, y: str) -> None:
    for scale, name, field in ((across, "x", x), (up, "y", y)):
        places, labels = tick_places(len(scale.values)), distinct(scale.values)
        getattr(ax, f"set_{name}ticks")(scale.at(places + 0.5), [labels[i] for i in places])
        kind = f" ({scale.kind})" if scale.kind == LOG else ""
        getattr(ax, f"set_{name}label")(UNITS.get(field, field) + kind)
        if scale.has_break:  # between 0 and the first value that has a logarithm
            at = (scale.edges[1], 0) if name == "x" else (0, scale.edges[1])
            ax.annotate("//", at, xytext=(0, -3) if name == "x" else (-3, 0),
                        textcoords="offset points", ha="center" if name == "x" else "right",
                        va="top" if name == "x" else "center", fontsize=8,
                        annotation_clip=False)  # fmt: skip
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)


def _title(trials: pd.DataFrame) -> str:
    data = trials["data"].fillna(trials["family"])  # of other families it is their own
    return f"{', '.join(sorted(data.unique()))}; {counted(trials)}"
