"""The tables that training fills. Every config field of every family is a column of `trials`."""

from __future__ import annotations

from grokmodel.configs import CONFIGS, FIELDS
from grokmodel.core.config import FIRST_FAMILY
from grokmodel.core.fields import fields_of
from service.tables.schema.columns import (
    BOOL,
    FLOAT,
    ID,
    IMAGE,
    INT,
    RUN,
    STR,
    VERSION,
    Column,
    Table,
)

ARROW = {str: STR, int: INT, float: FLOAT, bool: BOOL}
CONFIG_COLUMNS = tuple(
    Column(
        name, ARROW[field.type], field.meaning, field.unit, "config.py",
        absent=FIRST_FAMILY if name == "family" else None,
    )
    for name, field in FIELDS.items()
)  # fmt: skip
OF_SOME_FAMILIES = frozenset(
    name for name in FIELDS if any(name not in fields_of(kind) for kind in CONFIGS.values())
)
"""Fields that not every family has: null in the rows of those that have not."""

MEASURED_AT_END = frozenset(
    f"{name}_{when}"
    for name in ("train_acc", "val_acc", "val_acc_strict")
    for when in ("final", "1step")
) | {
    "val_acc_heldout_final", "val_acc_strict_heldout_final", "n_train", "n_val", "n_strict",
    "tau_rule_groups", "tau_mem_groups", "window",
}  # fmt: skip
"""Of what a family does not measure, its rows have null."""

TRIALS = Table(
    "trials",
    "One finished trial: its config and what it came to. Written last: a row means done.",
    key=("trial_id",),
    columns=(
        ID,
        RUN,
        *CONFIG_COLUMNS,
        Column("steps_run", INT, "updates made; fewer than `steps` if settled", "steps"),
        Column(
            "phase",
            STR,
            "confusion, memorization, grokking, comprehension or diverged; at most "
            "memorization without a strict pair",
        ),
        Column("train_acc", FLOAT, "last accuracy on training pairs", "share"),
        Column("val_acc", FLOAT, "last accuracy on all held-out pairs", "share"),
        Column("val_acc_strict", FLOAT, "the same, mirror held out as well", "share"),
        Column("val_acc_heldout", FLOAT, "val_acc by images that never train (N > 1)", "share"),
        Column("val_acc_strict_heldout", FLOAT, "strict by images that never train", "share"),
        Column("train_acc_final", FLOAT, "train_acc by `final_sample_steps` samples", "share"),
        Column("val_acc_final", FLOAT, "val_acc by `final_sample_steps` samples", "share"),
        Column("val_acc_strict_final", FLOAT, "strict by `final_sample_steps` samples", "share"),
        Column("val_acc_heldout_final", FLOAT, "val_acc_heldout by such samples", "share"),
        Column("val_acc_strict_heldout_final", FLOAT, "strict of these", "share"),
        Column("train_acc_1step", FLOAT, "train_acc by 1-step samples, see decoder_1step", "share"),
        Column("val_acc_1step", FLOAT, "val_acc by 1-step samples", "share"),
        Column("val_acc_strict_1step", FLOAT, "strict by 1-step samples", "share"),
        Column(
            "train_step",
            INT,
            "first of three evaluations in a row with train_acc >= 0.95; null: not by steps_run",
            "steps",
        ),
        Column("val_step", INT, "the same of val_acc", "steps"),
        Column("val_step_strict", INT, "the same of val_acc_strict", "steps"),
        Column("tau_rule", INT, "first step with strict accuracy >= 0.9", "steps"),
        Column("tau_mem", INT, "first step with half the training samples copies", "steps"),
        Column("tau_rule_groups", INT, "first step with 0.95 of fresh groups valid", "steps"),
        Column("tau_mem_groups", INT, "first step with mem_groups >= 0.5", "steps"),
        Column("window", INT, "tau_mem - tau_rule; null if either is: family rules", "steps"),
        Column("n_train", INT, "training pairs", "pairs"),
        Column("n_val", INT, "held-out pairs", "pairs"),
        Column("n_strict", INT, "held-out pairs whose mirror is held out", "pairs"),
        Column("wall_s", FLOAT, "training time that fell to this trial", "s"),
        Column("device", STR, "device that trained it"),
        VERSION,
    ),
    source="outcome.py, evaluate.py; arXiv 2205.10343 (phases)",
    optional=OF_SOME_FAMILIES | MEASURED_AT_END,
)

CURVES = Table(
    "curves",
    "Every evaluation of every finished trial. Join with `trials` on `trial_id` and `run_id`.",
    key=("trial_id", "run_id", "step"),
    columns=(
        ID,
        RUN,
        Column("step", INT, "updates made", "steps"),
        Column("loss", FLOAT, "mean training loss since the evaluation before"),
        Column("train_acc", FLOAT, "accuracy on training pairs", "share"),
        Column("val_acc", FLOAT, "accuracy on all held-out pairs", "share"),
        Column("val_acc_strict", FLOAT, "accuracy where the mirror is held out too", "share"),
        Column("mem_share", FLOAT, "samples that copy one training image (N > 1)", "share"),
        Column("weight_norm", FLOAT, "Euclidean norm of all weights"),
        Column("val_acc_heldout", FLOAT, "val_acc by images that never train (N > 1)", "share"),
        Column("val_acc_strict_heldout", FLOAT, "strict by images that never train", "share"),
        Column("val_loss", FLOAT, "mean loss over held-out data; null for images"),
        Column("novel_share", FLOAT, "samples valid, no copy, no repeat: family rules", "share"),
        Column(
            "mem_groups", FLOAT, "groups of training images, beyond chance: family rules", "share"
        ),
        VERSION,
    ),
    source="evaluate.py",
)

SAMPLES = Table(
    "samples",
    "What a trial draws for the same few pairs at every snapshot, from the same noise, and what it "
    "was shown and asked for. An image is S * S bytes, row by row: 0 paper, 255 ink.",
    key=("trial_id", "step", "sample"),
    columns=(
        ID,
        Column("step", INT, "updates made", "steps"),
        Column("sample", INT, "number of the pair within the trial"),
        Column("pairs", STR, "train, strict or, where these are few, validation"),
        Column("a", INT, "operand"),
        Column("b", INT, "operand"),
        Column("c", INT, "result a + b, or what the operation gives"),
        Column("sampled", INT, "class that the sample is read as; null if it is no image"),
        Column("image_a", IMAGE, "operand a as it was shown"),
        Column("image_b", IMAGE, "operand b as it was shown"),
        Column("image_c", IMAGE, "an image of the result"),
        Column("image", IMAGE, "the sample, by `sample_steps` Euler steps"),
        VERSION,
    ),
    source="samples.py",
)
