"""The picture of a trial over its training: progress measures, ends of samples, complexity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from service.colors import GRAY, LOSS_COLOR, ORANGE, RED, SKY, STRICT_COLOR, TRAIN_COLOR, VAL_COLOR
from service.report import figures
from service.report.figures import TITLE_SIZE, Figure, legend, line, shown_steps, trial_title

STAGE_COLORS = {
    "memorization": "#F6EFE2",
    "circuit formation": "#E6F2EC",
    "clean-up": "#E4EEF6",
}
LOSS_OF = {"image": "squared error per pixel at t = 1", "tokens": "cross-entropy"}
"""What the losses of a family are, on the axis."""
Frames = Mapping[str, pd.DataFrame]
"""Table -> rows of one trial."""
Row = Mapping[str, Any]


def training(row: Row, frames: Frames) -> Figure:
    """Progress measures, basins, merging and complexity on the training curve."""
    figure, axes = figures.new_figure(9.6, 6.6, 2, 2)
    curve = frames["curves"].sort_values("step")
    progress = frames["progress"].sort_values("step")
    ax: Axes = axes[0, 0]
    figures.accuracies(ax, row["family"], curve)
    line(ax, progress, "strict_acc", STRICT_COLOR, "strict, one step", marker="o", ls=":")
    line(
        ax,
        progress,
        "restricted_acc_within_split",
        ORANGE,
        "strict, restricted (within split)",
        marker="o",
    )
    line(ax, progress, "excluded_acc", SKY, "training, excluded", marker="o")
    _stages(ax, row, progress)
    legend(ax, 3)
    ax.set_title("accuracy", fontsize=9, pad=13)
    ax = axes[0, 1]
    for column, color, name in (
        ("train_loss", TRAIN_COLOR, "training pairs"),
        ("strict_loss", STRICT_COLOR, "strict pairs"),
        ("restricted_loss", ORANGE, "restricted"),
        ("excluded_loss", SKY, "excluded"),
    ):
        line(ax, progress, column, color, name, marker="o")
    figures.log_scale(ax, "y")
    figures.step_axis(ax)
    _stages(ax, row, progress)
    ax.set_ylabel(LOSS_OF.get(row["family"], "loss"))
    legend(ax, 4)
    ax.set_title("restricted and excluded loss", fontsize=9, pad=13)
    if frames["basins"].empty:  # it draws no samples
        axes[1, 0].set_axis_off()
    else:
        _basins(axes[1, 0], row, frames["basins"])
    _complexity(axes[1, 1], frames["complexity"], progress)
    figure.suptitle(trial_title(row), fontsize=TITLE_SIZE)
    return figure


def _stages(ax: Axes, row: Row, progress: pd.DataFrame) -> None:
    """Memorization, circuit formation, clean-up: where one ends and the next begins."""
    bounds = stages(row, progress)
    low, high = ax.get_xlim()
    for name, start, end in bounds:
        shade = STAGE_COLORS[name]
        ax.axvspan(max(start, low), min(end, high), color=shade, zorder=-2, lw=0)
        middle = np.sqrt(max(start, low, 1.0) * min(end, high))
        ax.text(middle, 1.0, name, transform=ax.get_xaxis_transform(), fontsize=6.5, ha="center",
                va="bottom", color=LOSS_COLOR)  # fmt: skip
    ax.set_xlim(low, high)


def stages(row: Row, progress: pd.DataFrame) -> list[tuple[str, float, float]]:
    """(name, first step, last step) of each stage that the trial went through.

    Memorization ends when training pairs are learned; circuit formation ends, and clean-up begins,
    at the first snapshot after that at which the loss on strict pairs has come down to half of its
    highest. (Names: arXiv 2301.05217; bounds: ours.)
    """
    end = float(progress["step"].max())
    learned = row["train_step"]
    if learned is None or pd.isna(learned):
        return [("memorization", 0.0, end)]
    learned = float(learned)
    loss, step = progress["strict_loss"].to_numpy(float), progress["step"].to_numpy(float)
    peak = np.nanmax(loss) if np.isfinite(loss).any() else np.nan
    down = step[(step >= learned) & (loss <= 0.5 * peak)]
    turn = float(down[0]) if len(down) else end
    bounds = (("memorization", 0.0, learned), ("circuit formation", learned, turn),
              ("clean-up", turn, end))  # fmt: skip
    return [(name, first, last) for name, first, last in bounds if first < last]


def _basins(ax: Axes, row: Row, basins: pd.DataFrame) -> None:
    """Ends of samples over training, with the clocks: first the rule, then the copies."""
    for pairs, style in (("train", "-"), ("strict", "--")):
        mine = basins[basins["pairs"] == pairs].sort_values("step")
        for column, color, name in (
            ("copy_share", RED, "a training image"),
            ("rule_share", STRICT_COLOR, "new, right class"),
            ("neither_share", GRAY, "neither"),
        ):
            label = f"{name} ({pairs})"
            ax.plot(
                shown_steps(mine["step"]), mine[column], style, color=color, label=label, marker="."
            )
    figures.step_axis(ax)
    ax.set_ylim(-0.02, 1.02)
    for clock, color in (("tau_rule", STRICT_COLOR), ("tau_mem", RED)):
        if pd.notna(row[clock]):
            ax.axvline(row[clock], color=color, lw=0.9, ls=":", label=clock.replace("_", " "))
    ax.set_ylabel("share of random starts")
    legend(ax, 3)
    ax.set_title("where samples end", fontsize=9)


def _complexity(ax: Axes, complexity: pd.DataFrame, progress: pd.DataFrame) -> None:
    by_step = complexity.pivot_table(index="step", columns="matrix", values="stable_rank")
    shown = [m for m in by_step.columns if m.rsplit(".", 1)[-1] in ("value", "out", "up", "down")]
    for matrix, color in zip(shown, (TRAIN_COLOR, VAL_COLOR, STRICT_COLOR, ORANGE, SKY, RED)):
        ax.plot(shown_steps(by_step.index), by_step[matrix], color=color, label=matrix, marker=".")
    ax.set_ylabel("stable rank (dots)")
    figures.step_axis(ax)
    gini = ax.twinx()
    line(gini, progress, "gini_output", LOSS_COLOR, "output", ls=":")
    line(gini, progress, "gini_neurons", LOSS_COLOR, "neurons", ls="-.")
    gini.set_ylim(0, 1)
    gini.set_ylabel("Gini coefficient of FVEs (gray)")
    legend(ax, 6, gini)
    ax.set_title("complexity of weights and spectra", fontsize=9)
