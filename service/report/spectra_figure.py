"""The picture of a trial's spectra: what each frequency explains at every hook point."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator

from grokmodel.analysis.spectra import RIGHT, TARGET
from service.colors import ORANGE, STRICT_COLOR, TRAIN_COLOR
from service.report.figures import TITLE_LINE_IN, TITLE_SIZE, Figure, trial_title
from service.report.training_figure import Frames, Row


def spectra(row: Row, frames: Frames) -> Figure:
    """FVE per frequency at pure noise (or the noisiest level there is, shown a wrong result),
    stacked by what it is a function of, and what the strongest frequency has by chance. What is a
    function of b alone mirrors what is one of a, and is left out, and so is what is constant.
    """
    frame = frames["spectra"]
    computed = (frame["t"] == frame["t"].max()) & (frame["shown"] != RIGHT)
    shown = frame[computed | (frame["hook"] == TARGET)]
    shown = shown[~shown["hook"].str.endswith("[b]")]
    power = shown[["fve_a", "fve_b", "fve_ab"]].sum(axis=1)
    place = [shown["hook"], shown["head"]]
    constant = power.groupby(place).transform("sum") + shown["fve_cross"] == 0
    points = list(shown[~constant].groupby(["hook", "head"], sort=False))
    top = float(power.max())
    columns = min(5, len(points))
    rows = -(-len(points) // columns)
    title = trial_title(row)
    more = TITLE_LINE_IN * (len(title.splitlines()) - 1)
    figure = Figure(figsize=(size := (2.5 * columns + 0.6, 1.65 * rows + 0.7 + more)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    # margins in inches: with so many panels an automatic layout takes longer than the drawing
    left, right, below, above = (
        0.75 / size[0],
        0.1 / size[0],
        0.55 / size[1],
        (0.75 + more) / size[1],
    )
    figure.subplots_adjust(left, below, 1 - right, 1 - above, wspace=0.32, hspace=0.62)
    for ax, ((point, head), frame) in zip(axes.flat, points):
        where = f"{point} head {head}" if head >= 0 else point
        _stacked(ax, where, frame.sort_values("frequency"), top)
    for ax in axes.flat[len(points) :]:
        ax.set_visible(False)
    figure.supxlabel("frequency k (cycles per P)", fontsize=9, y=0.06 / size[1])
    figure.supylabel("fraction of variance explained", fontsize=9, x=0.06 / size[0])
    figure.suptitle(title, fontsize=TITLE_SIZE, y=1 - 0.1 / size[1])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=4, frameon=False, fontsize=8)
    return figure


def _stacked(ax: Axes, where: str, frame: pd.DataFrame, top: float) -> None:
    """One panel: bars of what each frequency explains as a function of a, of b and of both.

    Args:
        top: the highest bar of all panels, which have one scale.
    """
    k = frame["frequency"].to_numpy()
    edges = np.append(k - 0.5, k[-1] + 0.5)
    bottom = np.zeros(len(k))
    for column, color, name in (
        ("fve_a", TRAIN_COLOR, "a"),
        ("fve_b", ORANGE, "b"),
        ("fve_ab", STRICT_COLOR, "a and b"),
    ):
        above = bottom + frame[column].to_numpy()
        ax.stairs(above, edges, baseline=bottom, fill=True, color=color, label=name)
        bottom = above
    null = frame["null_q95"].iloc[0] * bottom.sum()
    ax.axhline(null, color="black", lw=0.8, ls=":", label="strongest by chance (95 %)")
    cross = frame["fve_cross"].iloc[0]
    keys = ", ".join(map(str, frame.loc[frame["is_key"], "frequency"])) or "none"
    ax.set_title(f"{where}\nkey: {keys}; cross {cross:.2f}", fontsize=7)
    ax.set_ylim(0, 1.05 * top)
    ax.set_xticks([1, (1 + k[-1]) // 2, k[-1]])
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.tick_params(labelsize=7)
