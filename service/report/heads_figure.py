"""The picture of attention heads that carry one frequency each, trial by trial."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize

from grokmodel.analysis.spectra import NOTHING
from grokmodel.core.outcome import DIVERGED, PHASES
from grokmodel.probing.null import CHANCE
from service.colors import LOSS_COLOR, PHASE_COLORS
from service.report.figures import Figure
from service.tables.names import varied_fields
from service.tables.typical import representatives
from service.text import config_value

MAX_PANELS, MAX_COLUMNS = 12, 4
SHARES = LinearSegmentedColormap.from_list("share", ["#FFFFFF", "#BFDDF2", "#0072B2", "#062B4A"])
"""Light to dark in one hue, the darker the more of a head is at one frequency."""
FROM_DARK = 0.35
"""Share from which a cell is dark: marks on it are white."""
PANEL_IN, ALONE_IN, GAP_IN, BETWEEN_IN, TITLE_IN, SCALE_IN = 2.1, 3.0, 0.6, 0.36, 0.42, 1.4
"""Inches: width of a panel, of one with none beside it; between panels and between lines of them;
height of what is written above one, and of the scale."""
LEFT_IN, RIGHT_IN, LINE_IN = 0.5, 1.05, 0.14
"""Inches of the margins, and of a line of text."""
FRAME = "#BBBBBB"
TITLE = "Heads that carry one frequency each"
ABOUT = (
    "Attention scores at t = 1: share of a head's in-frequency power at each frequency, mean over "
    "both operands; heads in the order of their strongest frequency, its share on the right."
)
COLUMNS = ("trial_id", "hook", "head", "shown", "frequency", "fve_a", "fve_b", "fve_ab",
           "null_q95", "p_value", "is_key")  # fmt: skip
"""What the figure needs of the table `spectra`."""
SCORE = r"^block(?P<block>\d+)\.score\[[ab]\]$"


def chosen(trials: pd.DataFrame) -> list[list[str]]:
    """Ids of the trials that are shown, a list for each cell of the varied axes.

    All trials if they are few; else those typical of each phase in a cell, or of its commonest one
    alone; if even cells are many, those typical of each phase of the sweep.
    """
    trials = trials[trials["phase"] != DIVERGED]
    axes = varied_fields(trials)
    cells = [cell for _, cell in trials.groupby(axes)] if axes else [trials]
    for found in (
        [list(cell.sort_values(["seed", "trial_id"])["trial_id"]) for cell in cells],
        [representatives(cell) for cell in cells],
        [representatives(cell[cell["phase"] == _commonest(cell)]) for cell in cells],
    ):
        if sum(map(len, found)) <= MAX_PANELS:
            return [ids for ids in found if ids]
    return [[trial_id] for trial_id in representatives(trials)]


def _commonest(cell: pd.DataFrame) -> str:
    return str(cell["phase"].value_counts().reindex(PHASES, fill_value=0).idxmax())


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the scores of every head of a trial at t = 1: the share that each frequency has of the
    in-frequency power, mean over both operands; whether it is key for either; its p-value.

    Args:
        rows: of the table `spectra`.
    """
    rows = rows.assign(block=rows["hook"].str.extract(SCORE)["block"])
    rows = rows[rows["block"].notna() & (rows["shown"] == NOTHING)]
    power = rows[["fve_a", "fve_b", "fve_ab"]].sum(axis=1)
    total = power.groupby([rows[c] for c in ("trial_id", "hook", "head")]).transform("sum")
    frame = rows.assign(share=power / total.clip(lower=1e-12))
    key = ["trial_id", "block", "head", "frequency"]
    return (
        frame.astype({"block": int})
        .groupby(key, as_index=False)
        .agg(
            share=("share", "mean"),
            is_key=("is_key", "any"),
            p_value=("p_value", "min"),
            null_q95=("null_q95", "mean"),
        )
    )


def heads(trials: pd.DataFrame, of_heads: pd.DataFrame, cells: Sequence[Sequence[str]]) -> Figure:
    """A heat map of heads and frequencies for each of some trials.

    Args:
        of_heads: their `shares`; a trial that has none is left out.
        cells: ids of the trials, as `chosen` gives them.
    """
    found = dict(list(of_heads.groupby("trial_id")))
    lines = _lines([[i for i in cell if i in found] for cell in cells])
    sizes = [max(_count_heads(found[i]) for i in line) for line in lines]
    figure, axes = _grid(sizes, max(map(len, lines)), of_heads["null_q95"])
    by_id, varied = trials.set_index("trial_id"), varied_fields(trials)
    for of_line, line in zip(axes, lines, strict=True):
        for ax, trial_id in zip(of_line, line):
            _panel(ax, found[trial_id])
            _title(ax, by_id.loc[trial_id], varied)
        of_line[0].set_ylabel("head", fontsize=8)
        for ax in of_line[len(line) :]:
            ax.set_visible(False)
    axes[-1, 0].set_xlabel("frequency k (cycles per P)", fontsize=7.5)
    return figure


def _lines(cells: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Trials line by line: a cell has one of its own, unless that is too short or too long."""
    if 1 < max(map(len, cells)) <= MAX_COLUMNS:
        return [cell for cell in cells if cell]
    ids = [i for cell in cells for i in cell]
    return [ids[k : k + MAX_COLUMNS] for k in range(0, len(ids), MAX_COLUMNS)]


def _count_heads(frame: pd.DataFrame) -> int:
    return len(frame[["block", "head"]].drop_duplicates())


def _grid(heads_of_line: Sequence[int], columns: int, null: pd.Series) -> tuple[Figure, np.ndarray]:
    """A figure with its axes (lines, columns), what is said of all, and the scale of colors.

    Margins are in inches: with many panels an automatic layout takes longer than the drawing.
    """
    heights = [n * (0.2 if n <= 4 else 0.17 if n <= 8 else 0.125) + 0.1 for n in heads_of_line]
    wide = PANEL_IN if columns > 1 else ALONE_IN
    width = LEFT_IN + columns * (wide + GAP_IN) - GAP_IN + RIGHT_IN
    about, note = (
        textwrap.fill(x, round(17 * (width - LEFT_IN - 0.1))) for x in (ABOUT, _note(null))
    )
    above = 0.5 + LINE_IN * (about.count("\n") + 1)
    below = 0.45 + LINE_IN * (note.count("\n") + 1)
    inner = sum(heights) + len(heights) * (TITLE_IN + BETWEEN_IN) - BETWEEN_IN
    inner = max(inner, SCALE_IN + TITLE_IN)
    height = above + inner + below
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def place(left: float, top: float, wide: float, high: float) -> Axes:
        """Axes at inches from the left and from the top."""
        return figure.add_axes(
            (left / width, 1 - (top + high) / height, wide / width, high / height)
        )

    axes, top = np.empty((len(heights), columns), dtype=object), above
    for i, high in enumerate(heights):
        for j in range(columns):
            left = LEFT_IN + j * (wide + GAP_IN)
            axes[i, j] = place(left, top + TITLE_IN, wide, high)
        top += TITLE_IN + high + BETWEEN_IN
    _scale(figure, place(width - RIGHT_IN + 0.42, above + TITLE_IN, 0.12, SCALE_IN), null)
    left, top = LEFT_IN / width, 1 - 0.12 / height
    figure.text(left, top, TITLE, va="top", fontsize=12, weight="bold")
    figure.text(left, top - 0.24 / height, about, va="top", fontsize=8, color=LOSS_COLOR)
    figure.text(LEFT_IN / width, 0.08 / height, note, fontsize=7.5, color=LOSS_COLOR)
    return figure, axes


def _note(null: pd.Series) -> str:
    low, middle, high = (f"{value:.2f}" for value in null.quantile([0, 0.5, 1]))
    return (
        "Large dots: more than the strongest frequency has by chance; small: key beside it. Chance "
        f"is the classes in random order: 95 % of the orders have less than {middle} ({low} to "
        f"{high}, by head), the line on the scale."
    )


def _scale(figure: Figure, ax: Axes, null: pd.Series) -> None:
    """The colors, and what chance has on them."""
    scale = figure.colorbar(ScalarMappable(Normalize(0, 1), SHARES), cax=ax)
    scale.set_label("share of its power", fontsize=7.5)
    ax.tick_params(labelsize=7, length=2)
    ax.axhline(null.median(), color="black", lw=1.2)
    scale.outline.set_edgecolor(FRAME)


def _panel(ax: Axes, frame: pd.DataFrame) -> None:
    """One trial: heads in the order of their strongest frequency, with its share beside them."""
    key = ["block", "head"]
    table, is_key, p = (frame.pivot_table(index=key, columns="frequency", values=v, aggfunc="max")
                        for v in ("share", "is_key", "p_value"))  # fmt: skip
    strongest = table.idxmax(axis=1)
    order = sorted(table.index, key=lambda i: (i[0], strongest[i], -table.loc[i, strongest[i]]))
    table, ks, n = table.loc[order], table.columns.to_numpy(), len(order)
    large, small = (p.loc[order] <= CHANCE).to_numpy(), is_key.loc[order].to_numpy(bool)
    dots = np.maximum(3.2 * large, 1.5 * small) * (1.0 if n <= 8 else 0.7)
    edges = np.append(ks, ks[-1] + 1) - 0.5
    ax.pcolormesh(edges, np.arange(n + 1), table, cmap=SHARES, norm=Normalize(0, 1),
                  edgecolors="#EAEAEA", lw=0.4)  # fmt: skip
    for row, column in zip(*np.nonzero(dots)):
        ink = "white" if table.iloc[row, column] >= FROM_DARK else "black"
        ax.plot(ks[column], row + 0.5, "o", ms=dots[row, column], color=ink, mew=0)
    size = 7 if n <= 8 else 5.5
    for row, share in enumerate(table.max(axis=1)):
        ax.text(edges[-1], row + 0.5, f" {share:.2f}", va="center", fontsize=size, color=LOSS_COLOR)
    several = frame["block"].nunique() > 1
    names = [f"{block}.{head}" if several else f"{head}" for block, head in order]
    ax.set_yticks(np.arange(n) + 0.5, names)
    ax.set_ylim(n, 0)
    ax.set_xticks(ks[:: math.ceil(len(ks) / 12)])
    ax.tick_params(length=0, labelsize=size)
    ax.spines[:].set_color(FRAME)


def _title(ax: Axes, trial: pd.Series, varied: Sequence[str]) -> None:
    """What sets the trial apart; how well it knows the rule, and its phase with its color."""
    names = [f"{name.replace('_', ' ')} {config_value(trial[name])}" for name in varied]
    strict = trial["val_acc_strict"]
    known = "no strict pairs" if pd.isna(strict) else f"strict {strict:.2f}"
    for text, right, above, size, color in (
        (", ".join([*names, f"seed {trial['seed']}"]), 0, 15, 8, "black"),
        (f"{known}, {trial['phase']}", 9, 4, 7.5, LOSS_COLOR),
        ("\u25a0", 0, 4, 8, PHASE_COLORS[trial["phase"]]),
    ):
        ax.annotate(text, (0, 1), (right, above), xycoords="axes fraction", fontsize=size,
                    textcoords="offset points", color=color)  # fmt: skip
