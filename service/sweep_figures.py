"""Draw a sweep: its figures go to the store and to the sweep's MLflow run."""

from __future__ import annotations

import itertools

import pandas as pd
from matplotlib.figure import Figure

from service import figures, storage
from service.storage import Store
from service.tables import read_table
from service.tracking import Tracking

MAX_PLANES = 6
"""Planes of two axes drawn by default; others by `grok figures --x --y`."""
DEFAULT_PLANE = ("weight_decay", "train_fraction")


def draw(
    store: Store,
    sweep: str,
    tracking: Tracking | None = None,
    planes: list[tuple[str, str]] | None = None,
) -> list[str]:
    """Draw all figures of a sweep and return their keys.

    Args:
        tracking: log them on the sweep's run too.
        planes: (x, y) axes; by default every pair of axes that the sweep varies.
    """
    prefix = storage.figures_prefix(sweep)
    trials = read_table(store, "trials", sweep)
    if trials.empty:
        return []
    drawn: dict[str, Figure] = {}
    for x, y in planes or default_planes(trials):
        drawn[f"phase-{x}-{y}"] = figures.phase_diagram(trials, x, y)
        drawn[f"grok-step-{x}-{y}"] = figures.grok_steps(trials, x, y)
    if planes is None:
        curves = read_table(store, "curves", sweep)
        drawn["curves"] = figures.sweep_curves(trials, curves)
        drawn |= _spectra(store, sweep, trials)
    files = {f"{name}.{kind}": render(figure) for name, figure in drawn.items()
             for kind, render in (("png", figures.png), ("svg", figures.svg))}  # fmt: skip
    for name, data in files.items():
        store.put(f"{prefix}/{name}", data)
    if tracking is not None:
        tracking.log_files(tracking.parent_id, {f"figures/{n}": d for n, d in files.items()})
    return [f"{prefix}/{name}" for name in sorted(files)]


def default_planes(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """Every pair of axes that the trials vary; weight decay against training fraction if none."""
    axes = figures.varied_axes(trials)
    if not axes:
        return [DEFAULT_PLANE]
    if len(axes) == 1:
        other = DEFAULT_PLANE[0] if axes[0] != DEFAULT_PLANE[0] else DEFAULT_PLANE[1]
        return [(axes[0], other)]
    return list(itertools.combinations(axes, 2))[:MAX_PLANES]


def _spectra(store: Store, sweep: str, trials: pd.DataFrame) -> dict[str, Figure]:
    """Spectra of one trial a phase: the one with the best strict accuracy."""
    spectra = read_table(store, "spectra", sweep)
    out = {}
    for phase, group in trials.groupby("phase"):
        known = group[group["trial_id"].isin(spectra["trial_id"])]
        if known.empty:
            continue
        row = known.sort_values("val_acc_strict", ascending=False).iloc[0]
        mine = spectra[spectra["trial_id"] == row["trial_id"]]
        out[f"spectra-{phase}"] = figures.spectra_bars(row.to_dict(), mine)
    return out
