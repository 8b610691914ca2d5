"""Draws docs/images.png, strict accuracy over training of the sweep `images`, and prints its table:
python docs/images.py runs"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.lines import Line2D

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from service.report import figures
from sweeps.presets import preset_configs

HIGH = 0.9
COLUMNS = ("train_acc_1step", "val_acc_1step", "val_acc_strict_1step", "val_acc_heldout")
COLUMNS += ("val_acc_strict_final",)

store = sys.argv[1]
trials = pd.read_parquet(f"{store}/tables/trials").query("sweep == 'images'")
trials = trials[trials["trial_id"].isin([c.trial_id for c in preset_configs("images", {})])]
curves = pd.read_parquet(f"{store}/tables/curves").drop_duplicates(["trial_id", "step"])
sizes = sorted(trials["N"].unique())
colors = matplotlib.colormaps["viridis"].resampled(len(sizes) + 1)
styles = {0.5: ":", 1.0: "-", 2.0: "--"}
panels = [("sandwich", 8000), ("baseline", 8000), ("sandwich", 24_000)]
figure, axes = figures.new_figure(10.5, 3.3, 1, len(panels))
head = ["variant, steps", "N", "decay", f"training {HIGH} at", f"strict {HIGH} at", *COLUMNS]
print(f"| {' | '.join(head)} |")
print("|---" * len(head) + "|")
for ax, (variant, steps) in zip(axes[0], panels):
    mine = trials[(trials["variant"] == variant) & (trials["steps"] == steps)]
    for trial in mine.sort_values(["N", "weight_decay"]).to_dict("records"):
        curve = curves[curves["trial_id"] == trial["trial_id"]].sort_values("step")
        color, style = colors(sizes.index(trial["N"])), styles[trial["weight_decay"]]
        ax.plot(curve["step"], curve["val_acc_strict"], color=color, linestyle=style)
        sides = ("train_acc", "val_acc_strict")
        firsts = [curve.loc[curve[side] >= HIGH, "step"].min() for side in sides]
        reached = ["-" if pd.isna(step) else f"{step:,.0f}" for step in firsts]
        cells = ["-" if pd.isna(trial[c]) else f"{trial[c]:.2f}" for c in COLUMNS]
        fields = [f"{variant}, {steps:,}", str(trial["N"]), f"{trial['weight_decay']:g}"]
        print(f"| {' | '.join(fields + reached + cells)} |")
    ax.set(title=f"{variant}, {steps:,} steps", xlabel="step", ylim=(-0.03, 1.03))
    ax.label_outer()
axes[0, 0].set_ylabel(f"accuracy on {trials['n_strict'].iloc[0]} strict pairs")
lines = [Line2D([], [], color=colors(i), label=f"N = {N}") for i, N in enumerate(sizes)]
lines += [
    Line2D([], [], color="black", linestyle=style, label=f"weight decay {decay:g}")
    for decay, style in styles.items()
]
figure.legend(handles=lines, loc="outside lower center", ncols=7, frameon=False, fontsize=8)
(Path(__file__).parent / "images.png").write_bytes(figures.render(figure, "png"))
