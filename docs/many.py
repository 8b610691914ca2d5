"""Draws docs/PRESET.png, accuracy over training with many images per symbol, and prints its table:
python docs/many.py runs PRESET, one of many, glyph-counts, variants and counts"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from service.report import figures
from service.settings import load_settings
from service.store.store import Store
from service.tables.reading import read_table
from sweeps.presets import preset_configs

LEARNED = ("train_step", "val_step_strict")
SHOWN = ("train_acc_1step", "val_acc_1step", "val_acc_strict_1step", "val_acc_heldout")
SHOWN += ("val_acc_strict_heldout", "val_acc_strict_final")

store, sweep = sys.argv[1:]
trials = read_table(Store(load_settings(store)), "trials", sweep)
today = {config.trial_id for config in preset_configs(sweep, {})}  # not a recipe before
trials = trials[trials["trial_id"].isin(today)]
trials = trials.sort_values(["N", "variant", "ffn", "heads"], ascending=[False, False, True, True])
curves = pd.read_parquet(f"{store}/tables/curves").drop_duplicates(["trial_id", "step"])
figure, axes = figures.new_figure(2.9 * len(trials), 3.0, 1, len(trials))
head = ["N", "model", "heads", "steps", *LEARNED, *SHOWN]
print(f"| {' | '.join(head)} |")
print("|---" * len(head) + "|")
for ax, trial in zip(axes[0], trials.to_dict("records")):
    heads = f"{trial['heads']} head{'s' * (trial['heads'] > 1)}"
    model = f"{trial['variant']}, FFN {trial['ffn']}"
    if trial["sandwich_ffn"]:
        model = f"sandwich, FFN {trial['sandwich_ffn']:.0f} and {trial['ffn']}"
    figures.accuracies(ax, curves[curves["trial_id"] == trial["trial_id"]].sort_values("step"))
    if trial["late_decay_from"] > 0:
        ax.axvline(trial["late_decay_from"], color="black", lw=0.8, ls=":")
    if trial["cooldown"] > 0:
        ax.axvspan(trial["steps"] - trial["cooldown"], trial["steps"], color="black", alpha=0.06)
    ax.set_title(f"N = {trial['N']}, {heads}\n{model}", fontsize=8)
    ax.tick_params(axis="x", labelsize=7)
    ax.label_outer()
    when = ["-" if pd.isna(trial[column]) else f"{trial[column]:,.0f}" for column in LEARNED]
    values = ["-" if pd.isna(trial[column]) else f"{trial[column]:.2f}" for column in SHOWN]
    cells = [str(trial["N"]), model, str(trial["heads"]), f"{trial['steps_run']:,}"]
    cells += [*when, *values]
    print(f"| {' | '.join(cells)} |")
legend = axes[0, 0].get_legend_handles_labels()
columns = 2 + len(trials) // 2
figure.legend(*legend, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
(Path(__file__).parent / f"{sweep}.png").write_bytes(figures.render(figure, "png"))
