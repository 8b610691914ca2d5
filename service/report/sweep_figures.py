"""The figures of a sweep, from its tables."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmodel.core.outcome import PHASES
from service.report import figures, heads_figure, phase_figures
from service.report.figures import PHASE_COLORS
from service.report.trial_figures import TRIAL_FIGURES
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table
from service.tables.typical import representatives

MAX_PLANES = 6
"""Planes of two axes drawn by default; others by `grok figures --x --y`."""
DEFAULT_PLANE = ("weight_decay", "train_fraction")
_BEHIND = [f"block{i}.ffn.post" for i in range(8)]
"""Behind the last FFN's non-linearity, whichever block that is in."""
MEASURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "restricted accuracy, within-split fit": ("progress", "restricted_acc_within_split", {}),
    "identity FVE (mean over k)": ("identities", "fve_rule", {"control": [-1], "hook": _BEHIND}),
    "Gini of the output's FVEs": ("progress", "gini_output", {}),
    "merger ratio of the output, t = 1":
        ("representation", "merger", {"hook": ["output"], "t": [1.0]}),
    "learning coefficient": ("learning_coefficient", "llc", {}),
    "BDM of the FFN's input weights (bits)": ("complexity", "bdm", {"matrix": ["block0.ffn.up"]}),
}  # fmt: skip
"""Title -> table, column and values of others, of the measures that are set against phases."""


def draw(
    store: Store,
    sweep: str,
    planes: list[tuple[str, str]] | None = None,
) -> dict[str, bytes]:
    """All figures of a sweep by file name, as PNG and SVG; those of its typical trials as PNG.

    Args:
        planes: (x, y) axes; by default every pair of axes that the sweep varies.
    """
    trials = read_trials(store, sweep, planes)
    if trials.empty:
        return {}
    drawn: dict[str, Figure] = {}
    for x, y in planes or default_planes(trials):
        drawn[f"phase-{x}-{y}"] = phase_figures.phase_diagram(trials, x, y)
        drawn[f"grok-step-{x}-{y}"] = phase_figures.grok_steps(trials, x, y)
    if planes is None:
        curves = read_table(store, "curves", sweep)
        drawn["curves"] = figures.sweep_curves(trials, curves)
        drawn |= _across_trials(store, sweep, trials)
    files = {f"{name}.{kind}": render(figure) for name, figure in drawn.items()
             for kind, render in (("png", figures.png), ("svg", figures.svg))}  # fmt: skip
    return files | (representative_figures(store, sweep, trials) if planes is None else {})


def read_trials(store: Store, sweep: str, planes: list[tuple[str, str]] | None) -> pd.DataFrame:
    """What the figures of some planes need of the trials; everything if no planes are given."""
    if planes is None:
        return read_table(store, "trials", sweep)
    axes = itertools.chain.from_iterable(planes)
    return read_table(store, "trials", sweep, columns=sorted({*axes, *phase_figures.PLANE_COLUMNS}))


def default_planes(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """Every pair of axes that the trials vary; weight decay against training fraction if none."""
    axes = phase_figures.varied_axes(trials)
    if not axes:
        return [DEFAULT_PLANE]
    if len(axes) == 1:
        other = DEFAULT_PLANE[0] if axes[0] != DEFAULT_PLANE[0] else DEFAULT_PLANE[1]
        return [(axes[0], other)]
    return list(itertools.combinations(axes, 2))[:MAX_PLANES]


def representative_figures(store: Store, sweep: str, trials: pd.DataFrame) -> dict[str, bytes]:
    """The figures of one trial per phase, under the name of the phase."""
    phase_of = trials.set_index("trial_id")["phase"]
    out = {}
    for trial_id in representatives(trials):
        for name in TRIAL_FIGURES:
            key = keys.trial_figure_key(sweep, trial_id, f"{name}.png")
            data = store.get_or_none(key)
            if data is not None:
                out[f"{phase_of[trial_id]}-{name}.png"] = data
    return out


def _across_trials(store: Store, sweep: str, trials: pd.DataFrame) -> dict[str, Figure]:
    """What the analyses say of trials side by side."""
    out = {}
    critical = read_table(store, "critical", sweep).merge(trials, on="trial_id")
    if critical["observed"].notna().any():
        out["alignment"] = alignment(critical)
    cells = heads_figure.chosen(trials)
    ids, columns = [i for cell in cells for i in cell], heads_figure.COLUMNS
    of_heads = heads_figure.shares(read_table(store, "spectra", sweep, ids, columns))
    if not of_heads.empty:
        out["heads"] = heads_figure.heads(trials, of_heads, cells)
    values = {title: measure(store, sweep, trials, title) for title in MEASURES}
    values = {title: frame for title, frame in values.items() if not frame.empty}
    if values:
        out["measures"] = measures(values)
    return out


def measure(store: Store, sweep: str, trials: pd.DataFrame, title: str) -> pd.DataFrame:
    """One number per trial at its last step: the mean of a column, with the trial's phase."""
    table, column, which = MEASURES[title]
    frame = read_table(store, table, sweep, columns=["trial_id", "step", column, *which])
    for name, values in which.items():
        frame = frame[frame[name].isin(values)]
    last = frame.groupby("trial_id")["step"].transform("max")
    value = frame[frame["step"] == last].groupby("trial_id")[column].mean().dropna()
    known = trials.set_index("trial_id").loc[value.index]
    return pd.DataFrame({"value": value, "phase": known["phase"]})


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
    """Critical level predicted from FVE entropy against observed by rectifying, a point per trial.

    Left over the modulus as a third axis, as in arXiv 2604.17673; right flat, with their median
    difference.
    """
    figure, axes = figures.new_figure(9.0, 4.0, 1, 2)
    axes[0, 0].remove()
    space = figure.add_subplot(1, 2, 1, projection="3d")
    flat = axes[0, 1]
    top = float(critical["levels"].max() - 1)
    known = critical.dropna(subset=["observed"])
    for phase in [p for p in PHASES if (known["phase"] == p).any()]:
        part = known[known["phase"] == phase]
        color, label = PHASE_COLORS[phase], f"{phase} ({len(part)})"
        x, y = part["observed"].astype(float), part["predicted"].astype(float)
        space.scatter(x, y, part["P"].astype(float), color=color, s=24, edgecolors="black", lw=0.3)
        flat.scatter(x, y, color=color, s=30, edgecolors="black", lw=0.3, label=label)
    for P in sorted(known["P"].unique()):
        space.plot([0, top], [0, top], [float(P)] * 2, color="black", lw=0.6, ls=":")
    flat.plot([0, top], [0, top], color="black", lw=0.6, ls=":")
    for ax in (space, flat):
        ax.set_xlim(-1, top + 1)
        ax.set_ylim(-1, top + 1)
        ax.set_xlabel("observed critical level")
        ax.set_ylabel("predicted critical level")
    space.set_zlabel("modulus P")
    space.set_zlim(critical["P"].min() - 2, critical["P"].max() + 2)
    space.set_box_aspect(None, zoom=0.8)  # room for the labels
    space.set_zticks(sorted(known["P"].unique()))
    flat.legend(frameon=False, fontsize=7)
    gap = known["difference"].astype(float).abs().median()
    title = f"median |predicted - observed| = {gap:.0f} of {top:.0f} levels"
    if len(known) < len(critical):
        title += f"\n{len(known)} of {len(critical)} trials; the others have no observed level"
    flat.set_title(title, fontsize=9)
    return figure
