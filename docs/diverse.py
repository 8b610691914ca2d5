"""Draws docs/diverse.png, accuracy over training of the sweep `variants`, and prints its table:
python docs/diverse.py runs"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from service import figures

SHOWN = ("step", "train_acc", "val_acc", "val_acc_strict", "val_acc_heldout")
AT = (2000, 5000, 10_000)

store = sys.argv[1]
trials = pd.read_parquet(f"{store}/tables/trials").query("sweep == 'variants'")
trials = trials.sort_values(["variant", "ffn"], ascending=[False, True])
curves = pd.read_parquet(f"{store}/tables/curves").drop_duplicates(["trial_id", "step"])
figure, axes = figures.new_figure(3.1 * len(trials), 3.0, 1, len(trials))
print(f"| trial | strict pairs | {' | '.join(SHOWN)} |")
print("|---" * (len(SHOWN) + 2) + "|")
for ax, trial in zip(axes[0], trials.itertuples()):
    curve = curves[curves["trial_id"] == trial.trial_id].sort_values("step")
    name = f"{trial.variant}, FFN {trial.ffn}"
    figures.accuracies(ax, curve)
    ax.set_title(f"{name}\n{trial.n_strict} strict pairs", fontsize=9)
    ax.label_outer()
    for row in curve[curve["step"].isin(AT)][list(SHOWN)].itertuples(index=False):
        cells = [f"{row[0]:,.0f}", *(f"{value:.2f}" for value in row[1:])]
        print(f"| {name} | {trial.n_strict} | {' | '.join(cells)} |")
legend = axes[0, 0].get_legend_handles_labels()
figure.legend(*legend, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
(Path(__file__).parent / "diverse.png").write_bytes(figures.png(figure))
