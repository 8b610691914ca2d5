"""Figures for people: style, phase diagrams, grok steps, curves.

Every figure is drawn from table rows alone, without pyplot's global state. Colors
are those of Okabe and Ito, told apart by color-blind readers; phases are written out as well.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as PlainFigure
from matplotlib.ticker import LogLocator, NullFormatter

from grokmodel.configs import config_class
from grokmodel.core.config import FIRST_FAMILY
from grokmodel.core.outcome import LEARNED, PHASES
from service.colors import LOSS_COLOR, RED, STRICT_COLOR, TRAIN_COLOR, VAL_COLOR
from service.text import config_value, count

PHASE_LABELS = {
    "confusion": "conf",
    "memorization": "mem",
    "grokking": "grok",
    "comprehension": "comp",
    "diverged": "div",
}
DPI, SHOWN_DPI = 150, 80
"""Dots per inch in a file, and in a notebook."""
SIDE_IN, TICKS = 7.0, 8
"""Inches of a plane's side and labels on it, at most, however many its cells."""
LOG_FROM = 4.0
"""Ratio of the largest to the smallest loss from which its axis is logarithmic."""
TITLE_SIZE, TITLE_LINE_IN = 8, 0.14
"""Points and inches of a line in the title of a trial."""
MAX_LINES = 300
"""Trials in a panel of curves: more could not be told apart."""

matplotlib.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "grok"})


FORMATS = ("png", "svg", "pdf")


class Figure(PlainFigure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return render(self, "png", SHOWN_DPI)


def render(figure: PlainFigure, kind: str, dpi: int = DPI) -> bytes:
    """A figure as a file of one of FORMATS; equal figures are equal files."""
    out = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    figure.savefig(out, format=kind, dpi=dpi, metadata=metadata)
    return out.getvalue()


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of some inches and its axes (rows, columns)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def plane_in(cells: tuple[int, int], cell_in: tuple[float, float]) -> tuple[float, float]:
    """Width and height of a plane in inches, its cells smaller where there are many."""
    width, height = (min(n * size, SIDE_IN) for n, size in zip(cells, cell_in))
    return width, height


def tick_places(cells: int) -> np.ndarray:
    """Which cells of a side have a label."""
    return np.arange(0, cells, math.ceil(cells / TICKS))


# --- curves --------------------------------------------------------------------------------------


def trial_curve(row: Mapping[str, Any], curve: pd.DataFrame) -> Figure:
    """Loss and accuracies of one trial over its steps."""
    title = trial_title(row)
    frame = curve.sort_values("step")
    below = 0.94 if has_heldout(frame) else 0.77  # inches; a second line of the legend
    height = below + 2.38 + 0.12 + TITLE_LINE_IN * len(title.splitlines())
    figure = Figure(figsize=(6.0, height))
    FigureCanvasAgg(figure)
    ax: Axes = figure.add_axes((0.09, below / height, 0.79, 2.38 / height))
    accuracies(ax, row["family"], frame)
    figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=8)
    loss = ax.twinx()
    loss.plot(frame["step"], frame["loss"].astype(float), color=LOSS_COLOR, lw=1, ls=":")
    loss_axis(loss, frame["loss"].astype(float))
    loss.set_ylabel("training loss (dotted)")
    ax.set_title(title, fontsize=TITLE_SIZE)
    return figure


def sweep_curves(trials: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Training, validation and strict accuracy of all trials, one panel a phase."""
    shown = [p for p in PHASES if (trials["phase"] == p).any()]
    width = max(2.9 * len(shown), 5.2)  # a legend of three
    figure, axes = new_figure(width, 3.0, 1, max(len(shown), 1))
    for ax, phase in zip(axes[0], shown):
        ids = trials.loc[trials["phase"] == phase, "trial_id"]
        drawn = ids.iloc[:: math.ceil(len(ids) / MAX_LINES)]
        together = _one_after_another(curves, drawn)
        accuracies(ax, trials["family"].iloc[0], together, alpha=max(0.5, 1 / len(drawn)))
        some = "" if len(drawn) == len(ids) else f"{len(drawn)} of "
        ax.set_title(f"{phase} ({some}{count(len(ids), 'trial')})", fontsize=9)
        ax.label_outer()
    if shown:
        legend = axes[0, 0].get_legend_handles_labels()
        figure.legend(*legend, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _one_after_another(curves: pd.DataFrame, trial_ids: pd.Series) -> pd.DataFrame:
    """Curves of some trials with a gap after each, so that one line draws them all."""
    found = curves[curves["trial_id"].isin(trial_ids)]
    gaps = pd.DataFrame({"trial_id": trial_ids, "step": math.nan})
    together = pd.concat([found.astype({"step": float}), gaps])
    return together.sort_values(["trial_id", "step"], na_position="last")


ACCURACY_LINES = {
    "train_acc": (TRAIN_COLOR, "-"),
    "val_acc": (VAL_COLOR, "--"),
    "val_acc_strict": (STRICT_COLOR, "-"),
    "val_acc_heldout": (VAL_COLOR, ":"),
    "val_acc_strict_heldout": (STRICT_COLOR, ":"),
    "mem_share": (RED, "-"),
}
"""Color and style by column of `curves`."""


def accuracies(ax: Axes, family: str, frame: pd.DataFrame, alpha: float = 1.0) -> None:
    """The accuracies of curves of a family over their steps, of those that were measured; a row
    without a step is a gap."""
    names = config_class(family).curve_names
    frame = frame[~(frame["step"] <= 0)]  # the axis is logarithmic
    for column, name in names.accuracies.items():
        if frame[column].notna().any():
            color, style = ACCURACY_LINES[column]
            x, y = frame["step"], frame[column]
            ax.plot(x, y, style, color=color, lw=1.4, alpha=alpha, label=name)
    ax.axhline(LEARNED, color="black", lw=0.5, ls=":")
    step_axis(ax)
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel(f"accuracy (share of {names.share_of})")


def has_heldout(frame: pd.DataFrame) -> bool:
    """Whether anything was measured by images that never train."""
    return "val_acc_heldout" in frame and bool(frame["val_acc_heldout"].notna().any())


def step_axis(ax: Axes) -> None:
    """Training steps on a logarithmic axis, with plain numbers."""
    log_scale(ax, "x")
    ax.xaxis.set_major_formatter(_steps)
    ax.xaxis.set_minor_formatter(_minor_steps)
    ax.tick_params(axis="x", which="both", labelsize=7.5)
    ax.set_xlabel("training step")


def loss_axis(ax: Axes, losses: pd.Series) -> None:
    """A logarithmic axis with plain numbers; where losses differ little, a linear one."""
    known = losses[(losses > 0) & np.isfinite(losses)]
    if known.empty or known.max() < LOG_FROM * known.min():
        return
    log_scale(ax, "y")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def log_scale(ax: Axes, which: str) -> None:
    """A logarithmic axis, if anything drawn can stand on one: a trial that diverges at once has
    neither a step above 0 nor a finite loss."""
    if getattr(ax.dataLim, f"minpos{which}") < math.inf:
        ax.set(**{f"{which}scale": "log"})


def legend(ax: Axes, columns: int, *others: Axes) -> None:
    """What the lines of an axes (and of those on top of it) are, below it, where nothing lies."""
    found = [part for a in (ax, *others) for part in zip(*a.get_legend_handles_labels())]
    if found:
        handles, labels = zip(*found)
        ax.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns,
                  frameon=False, fontsize=6.5, columnspacing=1.0, handlelength=1.6)  # fmt: skip


def shown_steps(steps: Any) -> np.ndarray:
    """Steps for a logarithmic axis, which has no place for step 0."""
    steps = np.asarray(steps, float)
    return np.where(steps > 0, steps, np.nan)


def line(ax: Axes, frame: pd.DataFrame, y: str, color: str, label: str, **style: Any) -> None:
    """A column of `frame` over its steps, if it was measured: no legend without its line."""
    if frame[y].isna().all():
        return
    ax.plot(shown_steps(frame["step"]), frame[y], color=color, label=label, lw=1.4, ms=3, **style)


def _steps(step: float, position: float = 0.0) -> str:
    return f"{step:,.0f}"


def _minor_steps(step: float, position: float = 0.0) -> str:
    """Labels at 2 and 5 times the powers of ten."""
    leading = f"{step:.0e}"[0]
    return f"{step:,.0f}" if leading in "25" else ""


IN_TITLES = {
    "data": "", "P": "P=", "N": "N=", "width": "D=", "heads": "H=", "weight_decay": "wd=",
    "train_fraction": "R=", "seed": "seed ",
}  # fmt: skip
"""Main settings of a trial, and what stands before their values."""


def trial_title(row: Mapping[str, Any], about: str = "") -> str:
    """Which trial a figure shows: phase, main settings, id, and what else is not as by default."""
    usual = config_class(row["family"])().to_dict()
    main = [f"{short}{config_value(row[k])}" for k, short in IN_TITLES.items() if k in usual]
    silent = {*IN_TITLES, "images_hash", "family"}
    if row.get("patch") == row.get("side"):
        silent.add("patch")
    others = [
        f"{k}={config_value(row[k])}" for k in usual if k not in silent and row[k] != usual[k]
    ]
    if row["family"] != FIRST_FAMILY:
        main.insert(0, row["family"])
    first = f"{' '.join(main)} — {row['phase']}{about}"
    rest = textwrap.wrap(f"trial {row['trial_id']}: {' '.join(others) or 'else as by default'}", 90)
    return "\n".join([first, *rest])


CYCLIC = matplotlib.colormaps["hsv"]


def cyclic_colors(c: np.ndarray, P: int) -> np.ndarray:
    """A color for each class: a circle of hues, since the classes are one."""
    return CYCLIC(np.asarray(c) / P)
