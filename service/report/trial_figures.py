"""Figures of one trial, from its rows of the tables; a figure without rows is not drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from grokmodel.analysis.ablations import ALL, CLEAN, RANDOM, TOP, WITHIN_SPLIT
from grokmodel.analysis.identities import OUTPUT
from grokmodel.analysis.representation import CENTROID
from grokmodel.probing.projections import KEEP, REMOVE
from service.colors import GRAY, ORANGE, RED, SKY, STRICT_COLOR, TRAIN_COLOR
from service.report import figures
from service.report.denoiser_figure import denoiser
from service.report.figures import TITLE_SIZE, Figure, legend, shown_steps, trial_title
from service.report.samples_figure import samples
from service.report.spectra_figure import spectra
from service.report.training_figure import Frames, Row, training
from service.store.store import Store
from service.tables.reading import read_tables

KEY_SHADE = "#F1EEDC"
"""Behind key frequencies."""


def draw(store: Store, sweep: str, row: Row, names: Collection[str]) -> dict[str, Figure]:
    """Those of these figures of one trial for which there are rows."""
    chosen = {name: TRIAL_FIGURES[name] for name in names}
    tables = {table for needed, _ in chosen.values() for table in needed}
    frames = read_tables(store, tables, sweep, [row["trial_id"]])
    return {
        name: figure(row, frames)
        for name, (needed, figure) in chosen.items()
        if not frames[needed[0]].empty
    }


# --- one checkpoint ------------------------------------------------------------------------------


def identities(row: Row, frames: Frames) -> Figure:
    """Coefficients and variance explained along directions from the output, against random ones;
    before the non-linearity and, below, behind it."""
    frame = frames["identities"]
    points = sorted(frame["hook"].unique(), reverse=True)  # pre, post
    figure, axes = figures.new_figure(10.0, 0.5 + 2.8 * len(points), len(points), 3)
    for of_point, point in zip(axes, points):
        rows = frame[frame["hook"] == point]
        mine, control = rows[rows["control"] == OUTPUT], rows[rows["control"] != OUTPUT]
        for ax, direction in zip(of_point, ("cos", "sin")):
            _coefficients(ax, mine[mine["direction"] == direction])
            ax.set_title(f"{point}: direction of {direction}(w(a+b))", fontsize=9)
        _explained(of_point[2], mine, control)
        of_point[2].set_title(point, fontsize=9)
        for ax in of_point:
            ax.set_xlabel("frequency k (cycles per P)")
            ax.xaxis.get_major_locator().set_params(integer=True)
            legend(ax, 4)
    figure.suptitle(trial_title(row), fontsize=TITLE_SIZE)
    return figure


def _coefficients(ax: Axes, rows: pd.DataFrame) -> None:
    """Four bars per frequency; key frequencies are shaded."""
    for k in rows.loc[rows["is_key"], "frequency"]:
        ax.axvspan(k - 0.5, k + 0.5, color=KEY_SHADE, lw=0, zorder=-2)
    columns = (("cos_cos", "sin_sin", "cos_sin", "sin_cos"), (TRAIN_COLOR, RED, ORANGE, SKY))
    for i, (column, color) in enumerate(zip(*columns)):
        name = column.replace("_", " ")
        ax.bar(rows["frequency"] + 0.2 * (i - 1.5), rows[column], 0.2, color=color, label=name)
    ax.axhline(0, color="black", lw=0.5)
    ax.set_ylabel("coefficient")


def _explained(ax: Axes, mine: pd.DataFrame, control: pd.DataFrame) -> None:
    for k in mine.loc[mine["is_key"], "frequency"].unique():
        ax.axvspan(k - 0.5, k + 0.5, color=KEY_SHADE, lw=0, zorder=-2)
    for direction, color in (("cos", TRAIN_COLOR), ("sin", ORANGE)):
        part = mine[mine["direction"] == direction]
        ax.plot(part["frequency"], part["fve_rule"], "o-", ms=3, color=color, label=direction)
    random = control.groupby("frequency")["fve_rule"]
    ax.fill_between(random.mean().index, random.min(), random.max(), color=GRAY, label="random")
    ax.set_ylim(0, 1)
    ax.set_ylabel("variance explained by the rule")


def ablations(row: Row, frames: Frames) -> Figure:
    """Strict accuracy with frequencies removed, or only kept, at every hook point."""
    frame = frames["ablations"]
    clean = float(frame.loc[frame["mode"] == CLEAN, "val_acc_strict"].iloc[0])
    total = int(row["P"]) // 2
    # to keep all of them is to do nothing
    frame = frame[(frame["mode"] != CLEAN) & (frame["n_frequencies"] < total)]
    sets = frame[["hook", "n_frequencies"]].drop_duplicates()
    figure, axes = figures.new_figure(10.0, 1.2 + 0.32 * len(sets), 1, 2)
    place = np.arange(len(sets))[::-1]
    bars = ((TOP, ALL, TRAIN_COLOR, "top"), (RANDOM, ALL, GRAY, "random (mean, range)"),
            (TOP, WITHIN_SPLIT, ORANGE, "top, within-split fit"))  # fmt: skip
    for ax, (mode, title) in zip(axes[0], ((REMOVE, "these removed"), (KEEP, "only these kept"))):
        for i, (selection, fit, color, name) in enumerate(bars):
            chosen = (frame["mode"] == mode) & (frame["selection"] == selection)
            some = frame[chosen & (frame["fit"] == fit)]
            if some["val_acc_strict"].isna().all():
                continue  # too few strict pairs for a fit of their own
            cells = some.groupby(["hook", "n_frequencies"])["val_acc_strict"]
            stats = cells.agg(["mean", "min", "max"]).reindex(pd.MultiIndex.from_frame(sets))
            low, high = stats["mean"] - stats["min"], stats["max"] - stats["mean"]
            spread = [low.clip(lower=0), high.clip(lower=0)]  # a mean may be off by rounding
            ax.barh(place + 0.26 * (1 - i), stats["mean"], 0.26, color=color, label=name,
                    xerr=spread if selection == RANDOM else None, error_kw={"lw": 0.8})  # fmt: skip
        ax.axvline(clean, color=STRICT_COLOR, lw=1, label="no intervention")
        ax.axvline(1 / row["P"], color="black", lw=0.8, ls=":", label="chance")
        ax.set_xlim(0, 1.02)
        ax.set_title(f"frequencies: {title}", fontsize=9)
        ax.set_xlabel("accuracy on strict pairs, 1-step samples")
    points = sets.itertuples(index=False, name=None)
    axes[0, 0].set_yticks(place, [f"{point}: {n} of {total}" for point, n in points], fontsize=7)
    axes[0, 1].set_yticks([])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=7)
    figure.suptitle(trial_title(row), fontsize=TITLE_SIZE)
    return figure


def timesteps(row: Row, frames: Frames) -> Figure:
    """Recover and rectify with FVE entropy; operand swap; blocked arithmetic; over noise levels."""
    figure, axes = figures.new_figure(11.0, 3.7, 1, 3)
    frame, critical = frames["timesteps"].sort_values("level"), frames["critical"].iloc[0]
    ax: Axes = axes[0, 0]
    ax.plot(frame["level"], frame["recover_acc"], color=TRAIN_COLOR, label="recover")
    ax.plot(frame["level"], frame["rectify_acc"], color=RED, label="rectify")
    ax.plot(frame["level"], frame["entropy"], color=GRAY, label="FVE entropy, FFN pre-activation")
    for column, ls in (("observed", "--"), ("predicted", ":")):
        if pd.notna(critical[column]):
            ax.axvline(critical[column], color="black", lw=0.8, ls=ls, label=f"critical, {column}")
    ax.set_title("started from the right or a wrong result", fontsize=9)
    ax.set_xlabel("noise-step index at the start")
    ax = axes[0, 1]
    swaps = frames["swaps"].sort_values("level")
    for column, color, name in (("old_share", SKY, "old sum"), ("new_share", STRICT_COLOR, "new"),
                                ("neither_share", GRAY, "neither")):  # fmt: skip
        ax.plot(swaps["level"], swaps[column], color=color, label=name)
    ax.set_title("operands swapped on the way", fontsize=9)
    ax.set_xlabel("noise-step index at the swap")
    ax = axes[0, 2]
    for when, color in zip(sorted(frames["blocked"]["when"].unique()), (ORANGE, TRAIN_COLOR)):
        part = frames["blocked"][frames["blocked"]["when"] == when]
        ax.plot(part["t"], part["val_acc_strict"], "o-", ms=3, color=color, label=f"while {when}")
    ax.set_title("dominant frequencies removed for a while", fontsize=9)
    ax.set_xlabel("t*")
    for ax in axes[0]:
        ax.set_ylim(-0.02, 1.02)
        legend(ax, 2)
    axes[0, 0].set_ylabel("accuracy; entropy")
    axes[0, 1].set_ylabel("share of samples")
    axes[0, 2].set_ylabel("accuracy on strict pairs")
    figure.suptitle(trial_title(row), fontsize=TITLE_SIZE)
    return figure


def representation(row: Row, frames: Frames) -> Figure:
    """Principal components of hook points at t = 0 and t = 1; below, merging over training."""
    pca = frames["pca"]
    points = list(pca.loc[~pca["hook"].str.endswith("[b]"), "hook"].unique())
    figure, axes = figures.new_figure(2.1 * len(points), 6.0, 3, len(points))
    scalars = frames["representation"]
    for j, point in enumerate(points):
        for i, t in enumerate((0.0, 1.0)):
            _cloud(axes[i, j], pca[(pca["hook"] == point) & (pca["t"] == t)], int(row["P"]))
            if i == 0:
                axes[i, j].set_title(point, fontsize=8)
        ax = axes[2, j]
        for t, color in ((0.0, SKY), (1.0, RED)):
            part = scalars[(scalars["hook"] == point) & (scalars["t"] == t)]
            by_step = part.groupby("step")["merger"].mean()
            ax.plot(
                shown_steps(by_step.index), by_step, color=color, marker=".", label=f"t = {t:g}"
            )
        figures.step_axis(ax)
        ax.set_ylim(0, 1.15)
        ax.tick_params(labelsize=6)
    axes[0, 0].set_ylabel("t = 0", fontsize=8)
    axes[1, 0].set_ylabel("t = 1", fontsize=8)
    scale = ScalarMappable(Normalize(0, int(row["P"])), figures.CYCLIC)
    figure.colorbar(scale, ax=axes[:2, :], label="result c", fraction=0.02, pad=0.01)
    axes[2, 0].set_ylabel("merger ratio", fontsize=8)
    axes[2, 0].legend(frameon=False, fontsize=7)
    title = "principal components, colored by result; rings: class means"
    figure.suptitle(trial_title(row, f"; {title}"), fontsize=TITLE_SIZE)
    return figure


def _cloud(ax: Axes, points: pd.DataFrame, P: int) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    if points.empty:
        ax.text(0.5, 0.5, "constant", ha="center", va="center", fontsize=7)
        return
    points = points[points["head"] == points["head"].min()]
    colors = figures.cyclic_colors(points["c"].to_numpy(), P)
    is_mean = (points["kind"] == CENTROID).to_numpy()
    ax.scatter(points["pc1"][~is_mean], points["pc2"][~is_mean], s=5, c=colors[~is_mean], lw=0)
    ax.scatter(points["pc1"][is_mean], points["pc2"][is_mean], s=22, lw=1,
               edgecolors=colors[is_mean], facecolors="none")  # fmt: skip
    explained = f"3 components: {100 * points['explained'].iloc[0]:.0f} %"
    ax.text(0.98, 0.02, explained, transform=ax.transAxes, fontsize=6, ha="right")


TRIAL_FIGURES: dict[str, tuple[tuple[str, ...], Callable[[Row, Frames], Figure]]] = {
    "curve": (("curves",), lambda row, frames: figures.trial_curve(row, frames["curves"])),
    "samples": (("samples",), samples),
    "spectra": (("spectra",), spectra),
    "training": (("progress", "curves", "basins", "complexity"), training),
    "identities": (("identities",), identities),
    "ablations": (("ablations",), ablations),
    "timesteps": (("critical", "timesteps", "swaps", "blocked"), timesteps),
    "representation": (("pca", "representation"), representation),
    "denoiser": (("denoiser", "skips", "spectral_bias"), denoiser),
}
"""Name -> the tables that it is drawn from, the first of which must have rows; and how."""
