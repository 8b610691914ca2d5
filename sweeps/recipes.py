"""Settings that go together. The defaults of `TrialConfig` are the paper's regime; `FAST` is ours.

A block maps config fields to lists of values and stands for their grid. docs/recipe.md has the
source of every choice and what it does.
"""

from __future__ import annotations

from typing import Any

Block = dict[str, list[Any]]

FAST: Block = {
    "heads": [1], "norm": ["ffn"], "init_scale": [0.5], "input_gate": [True], "loss": ["x0"],
    "t_distribution": ["logit-normal"], "t_mean": [3.0], "t_std": [2.0], "ema": [0.98],
}  # fmt: skip
"""Noise levels near t = 1, an input gate, one head: learns the rule within 1,000 to 2,500 steps, by
a dense spectrum without key frequencies."""

FORERUNNER: Block = {
    "heads": [8], "qk_norm": [True], "position": ["rotary"], "time_embedding": ["mlp"],
    "activation": ["swiglu"], "adaln_zero": [True], "zero_output": [True], "batch": [256],
    "weight_decay": [0.0], "lr": [5e-4], "t_distribution": ["logit-normal"], "t_mean": [0.0],
    "t_std": [1.0],
}  # fmt: skip
"""The model and its training as in the public forerunner by an author of the paper."""

DIVERSE: Block = {
    **FAST, "alphabet": ["distinct"], "sandwich_skip": [False], "visible_below": [0.5],
    "batch": [2048], "precision": ["bfloat16"], "weight_decay": [1.0],
    "late_weight_decay": [3.0], "ema": [0.998], "sample_steps": [1], "eval_pairs": [256],
}  # fmt: skip
"""What trials with 256 images per symbol have in place of the defaults (docs/diverse.md). Their
alphabet has no look-alikes, because the decoder must tell classes apart on images it never saw."""

RECIPES = {"fast": FAST, "forerunner": FORERUNNER, "diverse": DIVERSE}
"""By the name of the flag `--recipe`."""
