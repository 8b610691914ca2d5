"""The figures of a sweep, from its tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence

import matplotlib
import numpy as np
import pandas as pd

from grokmodel.core.outcome import PHASES
from grokmodel.errors import ConfigError
from service.colors import PHASE_COLORS
from service.report import figures, heads_figure, phase_figures
from service.report.figures import Figure
from service.store.store import Store
from service.tables.headlines import TITLES, headlines
from service.tables.reading import read_table

MAX_PLANES = 6
"""Planes of two axes drawn by default; others by `grok figures --x --y`."""
OF_PLANES = ("phase", "grok-step")
"""Figures of which there is one per plane of two axes."""
NAMES = (*OF_PLANES, "curves", "heads", "measures", "alignment")
"""Figures of a whole sweep."""
Plane = tuple[str, str]


def draw(
    store: Store, sweep: str, names: Collection[str] = NAMES, planes: Sequence[Plane] | None = None
) -> dict[str, Figure]:
    """Figures of a sweep for which there are rows, by name.

    Args:
        planes: (x, y) axes; by default every pair of axes that the sweep varies.

    Raises:
        ConfigError: an axis that does not vary.
    """
    trials = read_table(store, "trials", sweep)
    if trials.empty:
        return {}
    for x, y in planes or ():
        check_axes(plane_axes(trials), **{"--x": x, "--y": y})
    drawn: dict[str, Figure] = {}
    for x, y in default_planes(trials) if planes is None else planes:
        if "phase" in names:
            drawn[f"phase-{x}-{y}"] = phase_figures.phase_diagram(trials, x, y)
        if "grok-step" in names:
            drawn[f"grok-step-{x}-{y}"] = phase_figures.grok_steps(trials, x, y)
    for name in [name for name in names if name in ACROSS]:
        if (figure := ACROSS[name](store, sweep, trials)) is not None:
            drawn[name] = figure
    return drawn


def plane_axes(trials: pd.DataFrame) -> list[str]:
    """What an axis of a plane may be: config columns that vary, most values first, then seeds."""
    seeds = ["seed"] if trials["seed"].nunique() > 1 else []
    return [*phase_figures.varied_axes(trials), *seeds]


def check_axes(varied: Sequence[str], **asked: str | None) -> None:
    """Raise a ConfigError if one of the axes that are asked for, by the name of its argument, does
    not vary, or is asked for twice."""
    known = {name: axis for name, axis in asked.items() if axis is not None}
    for name, axis in known.items():
        if axis not in varied:
            allowed = f"an axis that varies: {', '.join(varied) or 'this sweep has none'}"
            raise ConfigError(name, axis, allowed)
    if len(set(known.values())) < len(known):
        raise ConfigError(name, axis, f"another axis than {next(iter(known))}")


def default_planes(trials: pd.DataFrame) -> list[Plane]:
    """Every pair of axes that the trials vary; with one axis, that against the seeds."""
    axes = phase_figures.varied_axes(trials)
    if len(axes) == 1:
        return [(axes[0], "seed")] if trials["seed"].nunique() > 1 else []
    return list(itertools.combinations(axes, 2))[:MAX_PLANES]


def _curves(store: Store, sweep: str, trials: pd.DataFrame) -> Figure | None:
    return figures.sweep_curves(trials, read_table(store, "curves", sweep))


def _heads(store: Store, sweep: str, trials: pd.DataFrame) -> Figure | None:
    cells = heads_figure.chosen(trials)
    ids, columns = [i for cell in cells for i in cell], heads_figure.COLUMNS
    of_heads = heads_figure.shares(read_table(store, "spectra", sweep, ids, columns))
    return None if of_heads.empty else heads_figure.heads(trials, of_heads, cells)


def _measures(store: Store, sweep: str, trials: pd.DataFrame) -> Figure | None:
    found = pd.DataFrame.from_dict(
        headlines(store, sweep, list(trials["trial_id"])), orient="index"
    )
    phases = trials.set_index("trial_id")["phase"]
    values = {}
    for name in [name for name in TITLES if name in found]:
        known = found[name].dropna().astype(float)
        if len(known) >= FEWEST:
            values[TITLES[name]] = pd.DataFrame({"value": known, "phase": phases[known.index]})
    return measures(values) if values else None


def _alignment(store: Store, sweep: str, trials: pd.DataFrame) -> Figure | None:
    critical = read_table(store, "critical", sweep).merge(trials, on="trial_id")
    known = critical.dropna(subset=["observed", "predicted"])
    return alignment(critical) if len(known) >= FEWEST else None


FEWEST = 3
"""Trials from which a figure that compares them is drawn: of fewer it would show no tendency."""
ACROSS: dict[str, Callable[[Store, str, pd.DataFrame], Figure | None]] = {
    "curves": _curves, "heads": _heads, "measures": _measures, "alignment": _alignment,
}  # fmt: skip


def measures(values: dict[str, pd.DataFrame]) -> Figure:
    """Measures of the analyses by phase, a point per trial."""
    columns = min(3, len(values))
    rows = -(-len(values) // columns)
    figure, axes = figures.new_figure(3.2 * columns, 2.3 * rows, rows, columns)
    for ax, (title, frame) in zip(axes.flat, values.items()):
        shown = [p for p in PHASES if (frame["phase"] == p).any()]
        for i, phase in enumerate(shown):
            mine = frame.loc[frame["phase"] == phase, "value"].sort_values()
            jitter = np.linspace(-0.2, 0.2, len(mine)) if len(mine) > 1 else np.zeros(1)
            ax.scatter(
                i + jitter, mine, s=14, color=PHASE_COLORS[phase], edgecolors="black", lw=0.3
            )
            if len(mine) >= FEWEST:
                ax.hlines(mine.median(), i - 0.3, i + 0.3, color="black", lw=1)
        counts = frame["phase"].value_counts()
        ax.set_xticks(range(len(shown)), [f"{figures.PHASE_LABELS[p]} {counts[p]}" for p in shown])
        ax.set_xlim(-0.6, len(shown) - 0.4)
        ax.set_title(title, fontsize=8)
        ax.tick_params(labelsize=7)
    for ax in axes.flat[len(values) :]:
        ax.set_visible(False)
    return figure


def alignment(critical: pd.DataFrame) -> Figure:
    """Critical noise-step index predicted from FVE entropy against that observed by rectifying, a
    point per trial, colored by its modulus (arXiv 2604.17673)."""
    figure, axes = figures.new_figure(4.6, 4.2)
    ax = axes[0, 0]
    top = float(critical["levels"].max() - 1)
    known = critical.dropna(subset=["observed", "predicted"])
    moduli = sorted(known["P"].unique())
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(moduli)))
    for P, color in zip(moduli, colors):
        part = known[known["P"] == P]
        x, y = part["observed"].astype(float), part["predicted"].astype(float)
        ax.scatter(x, y, color=color, s=30, edgecolors="black", lw=0.3, label=f"P = {P}")
    ax.plot([0, top], [0, top], color="black", lw=0.6, ls=":")
    ax.set(xlim=(-1, top + 1), ylim=(-1, top + 1), xlabel="observed critical noise-step index",
           ylabel="predicted critical noise-step index")  # fmt: skip
    ax.legend(frameon=False, fontsize=7)
    gap = known["difference"].astype(float).abs().median()
    title = f"median |predicted - observed| = {gap:.0f} of {top:.0f}"
    if len(known) < len(critical):
        title += f"\n{len(known)} of {len(critical)} trials; the others lack one of the two"
    ax.set_title(title, fontsize=9)
    return figure
