"""The picture of what a trial draws for the same pairs over its training."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from grokmodel.image.samples import TRAIN
from service.colors import RED, STRICT_COLOR
from service.report import figures
from service.report.figures import Figure, trial_title
from service.report.training_figure import Frames, Row

ROWS = 6
"""Snapshots that are shown, at most: the first, the last and some between."""
CELL_IN = 0.62


def samples(row: Row, frames: Frames) -> Figure:
    """Operands, target and samples; a frame says whether a sample is read as a + b."""
    frame = frames["samples"].sort_values(["step", "sample"])
    first = frame.drop_duplicates("sample")
    steps = sorted(frame["step"].unique())
    steps = [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, ROWS).round().astype(int))]
    size = (CELL_IN * len(first) + 1.1, CELL_IN * (len(steps) + 3) + 1.0)
    figure, axes = figures.new_figure(*size, len(steps) + 3, len(first))
    side = int(row["side"])
    for j, pair in enumerate(first.itertuples(index=False)):
        known = ((f"a = {pair.a}", pair.image_a), (f"b = {pair.b}", pair.image_b),
                 (f"c = {pair.c}", pair.image_c))  # fmt: skip
        for i, (name, image) in enumerate(known):
            _image(axes[i, j], image, side)
            is_first = i == 0 and (j == 0 or first["pairs"].iloc[j - 1] != pair.pairs)
            kind = {TRAIN: "training"}.get(pair.pairs, pair.pairs)
            above = f"{kind} pairs\n" if is_first else ""
            axes[i, j].set_title(f"{above}{name}", fontsize=6, pad=2)
    for i, step in enumerate(steps, start=3):
        for j, drawn in enumerate(frame[frame["step"] == step].itertuples(index=False)):
            _image(axes[i, j], drawn.image, side)
            is_right = drawn.sampled == drawn.c
            for spine in axes[i, j].spines.values():
                spine.set(visible=True, color=STRICT_COLOR if is_right else RED, lw=1.6,
                          ls="-" if is_right else ":")  # fmt: skip
    for i, name in enumerate(["a", "b", "target", *(f"step {step:,}" for step in steps)]):
        axes[i, 0].set_ylabel(name, fontsize=7, rotation=0, ha="right", va="center")
    about = "\ngreen: read as the right class; dotted orange: as another"
    figure.suptitle(trial_title(row) + about, fontsize=figures.TITLE_SIZE)
    return figure


def _image(ax: Axes, image: bytes, side: int) -> None:
    ink = np.frombuffer(image, np.uint8).reshape(side, side)
    ax.imshow(255 - ink, cmap="gray", vmin=0, vmax=255)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
