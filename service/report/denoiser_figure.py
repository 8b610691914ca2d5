"""The picture of a trial's denoiser: what explains it, which steps that saves, what comes first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from grokmodel.denoiser.denoiser import FEWER, GAUSSIAN, MEAN
from service.colors import GRAY, ORANGE, RED, SKY, STRICT_COLOR, TRAIN_COLOR
from service.report import figures
from service.report.figures import TITLE_SIZE, Figure, legend, shown_steps, trial_title
from service.report.training_figure import Frames, Row

EXPLAINS = (
    ("gaussian", TRAIN_COLOR, "Gaussian of all results"),
    ("unconditional", ORANGE, "all images, not a and b"),
    ("right_class", STRICT_COLOR, "the right class"),
    ("linear_operands", SKY, "linear, a and b too"),
)
STARTS = ((GAUSSIAN, TRAIN_COLOR), (MEAN, ORANGE), (FEWER, GRAY))
AT_NOISE = 0.9
"""Noise level whose share is drawn over training."""


def denoiser(row: Row, frames: Frames) -> Figure:
    """Shares at the end and over training; accuracy by skipped steps; steps by variance."""
    figure, axes = figures.new_figure(12.0, 3.7, 1, 4)
    frame = frames["denoiser"].sort_values(["step", "t"])
    _shares(axes[0, 0], frame[frame["step"] == frame["step"].max()], "t")
    axes[0, 0].set_xlabel("noise level t")
    axes[0, 0].set_title("what explains the prediction", fontsize=9)
    early = frame[np.isclose(frame["t"], AT_NOISE)]
    _shares(axes[0, 1], early.assign(step=shown_steps(early["step"])), "step")
    figures.step_axis(axes[0, 1])
    axes[0, 1].set_title(f"the same at t = {AT_NOISE:g}, over training", fontsize=9)
    legend(axes[0, 0], 1)
    axes[0, 0].set_ylabel("share of variance")
    _skips(axes[0, 2], frames["skips"])
    _components(axes[0, 3], frames["spectral_bias"])
    figure.suptitle(trial_title(row), fontsize=TITLE_SIZE)
    return figure


def _shares(ax: Axes, frame: pd.DataFrame, x: str) -> None:
    for column, color, name in EXPLAINS:
        ax.plot(frame[x], frame[column], ".-", color=color, label=name, lw=1.4, ms=3)
    ax.set_ylim(-0.1, 1.02)


def _skips(ax: Axes, frame: pd.DataFrame) -> None:
    """Solid: training pairs; dashed: strict pairs."""
    for start, color in STARTS:
        mine = frame[frame["start"] == start].sort_values("skipped")
        ax.plot(mine["skipped"], mine["train_acc"], color=color, label=start)
        ax.plot(mine["skipped"], mine["val_acc_strict"], color=color, ls="--")
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("first steps skipped, of 20")
    ax.set_ylabel("accuracy (dashed: strict pairs)")
    ax.set_title("first steps not the network's", fontsize=9)
    legend(ax, 3)


def _components(ax: Axes, frame: pd.DataFrame) -> None:
    for t, color in zip(sorted(frame["t"].unique()), (SKY, TRAIN_COLOR, ORANGE, RED)):
        mine = frame[(frame["t"] == t) & (frame["step_half"] > 0)]
        ax.plot(mine["variance"], mine["step_half"], ".", color=color, label=f"t = {t:g}")
    figures.step_axis(ax)  # plain numbers
    figures.log_scale(ax, "y")
    ax.set_xlabel("variance of the principal component")
    ax.set_ylabel("step by which it is learned")
    ax.set_title("spectral bias", fontsize=9)
    legend(ax, 2)
