"""From the curve of a trial to its phase and clocks.

Accuracy is always taken twice: over all validation pairs and over the strict ones, whose mirror
(b, a) is held out as well (see `data/pairs.py`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFUSION = "confusion"
MEMORIZATION = "memorization"
GROKKING = "grokking"
COMPREHENSION = "comprehension"
DIVERGED = "diverged"
PHASES = (CONFUSION, MEMORIZATION, GROKKING, COMPREHENSION, DIVERGED)

LEARNED = 0.95
"""Accuracy that counts as having learned ..."""
HELD_FOR = 3
"""... when it stays for so many evaluations in a row."""
GROK_RATIO, GROK_LAG = 2, 1000
"""Grokking: strict validation is learned this many times, and this many steps, after training."""
RULE_VALID = 0.9
"""`tau_rule`: share of samples for strict pairs that decode to the right class."""
MEMORIZED = 0.5
"""`tau_mem`: share of samples for training pairs that copy one training image."""
SETTLED, SETTLED_FOR = 0.99, 5
"""A trial that has learned its training pairs has settled when strict accuracy is at least SETTLED
for so many evaluations in a row."""


@dataclass(frozen=True)
class Evaluation:
    """What is measured of one member at one step; one row of the `curves` table."""

    step: int
    loss: float
    """Mean training loss since the evaluation before; at step 0, of the untrained model."""
    train_acc: float
    """Share of training pairs whose sample decodes to a ∘ b."""
    val_acc: float
    """The same over all validation pairs."""
    val_acc_strict: float
    """The same over validation pairs whose mirror is held out; NaN where there is none."""
    mem_share: float
    """Share of samples for training pairs that copy one training image; NaN for N = 1."""
    weight_norm: float
    """Euclidean norm of all weights."""
    val_acc_heldout: float = math.nan
    """Like `val_acc`, with operands shown by images that never train; NaN for N = 1."""
    val_acc_strict_heldout: float = math.nan
    """Like `val_acc_strict`, with operands shown by images that never train; NaN for N = 1."""
    val_loss: float = math.nan
    """Mean loss over all validation data; NaN where it is not measured."""
    novel_share: float = math.nan
    """Share of samples that are valid, no copy and drawn for the first time; NaN where samples are
    of pairs."""
    mem_groups: float = math.nan
    """Share of groups of pixels that a training image has too, beyond chance; NaN where samples are
    of pairs, or where chance is high."""


@dataclass(frozen=True)
class CurveNames:
    """What the accuracies of a family are shares of, for figures and the page."""

    share_of: str
    accuracies: Mapping[str, str]
    """Name of each accuracy by its field in Evaluation, the first to be learned first."""
    stages: str
    """What has been learned in confusion, in memorization and after them."""


OF_PAIRS = CurveNames(
    share_of="pairs",
    accuracies={
        "train_acc": "training pairs",
        "val_acc": "validation pairs",
        "val_acc_strict": "strict pairs (mirror held out)",
        "val_acc_heldout": "validation, unseen images",
        "val_acc_strict_heldout": "strict, unseen images",
    },
    stages="training pairs not learned, only these learned, strict pairs learned",
)

EVALUATION_FIELDS = tuple(field.name for field in dataclasses.fields(Evaluation))
NEEDED_FIELDS = sum(f.default is dataclasses.MISSING for f in dataclasses.fields(Evaluation))
"""Of these so many first ones are always there."""


@dataclass(frozen=True)
class Outcome:
    """What one trial came to, read off its curve."""

    phase: str
    steps_run: int
    train_acc: float
    val_acc: float
    val_acc_strict: float
    val_acc_heldout: float
    val_acc_strict_heldout: float
    train_step: int | None
    """First step from which train_acc stays >= 0.95 for three evaluations; None: never."""
    val_step: int | None
    val_step_strict: int | None
    tau_rule: int | None
    """First step at which samples for strict pairs are rule-valid at >= 0.9."""
    tau_mem: int | None
    """First step at which >= 0.5 of the samples for training pairs are copies (N > 1)."""


def outcome(curve: Sequence[Evaluation], divergence_ratio: float) -> Outcome:
    """Phase, steps and clocks of a curve with at least one evaluation.

    Args:
        divergence_ratio: see `diverged`.
    """
    last = curve[-1]
    train_step = first_lasting(curve, "train_acc")
    val_step = first_lasting(curve, "val_acc")
    strict_step = first_lasting(curve, "val_acc_strict")
    return Outcome(
        phase=phase(train_step, strict_step, diverged(curve, divergence_ratio)),
        steps_run=last.step,
        train_acc=last.train_acc,
        val_acc=last.val_acc,
        val_acc_strict=last.val_acc_strict,
        val_acc_heldout=last.val_acc_heldout,
        val_acc_strict_heldout=last.val_acc_strict_heldout,
        train_step=train_step,
        val_step=val_step,
        val_step_strict=strict_step,
        tau_rule=first(curve, "val_acc_strict", RULE_VALID),
        tau_mem=first(curve, "mem_share", MEMORIZED),
    )


def phase(train_step: int | None, strict_step: int | None, has_diverged: bool) -> str:
    """The phase of a trial, named as in Liu et al. 2022 (arXiv 2205.10343)."""
    if has_diverged:
        return DIVERGED
    if train_step is None:
        return CONFUSION
    if strict_step is None:
        return MEMORIZATION
    late = strict_step >= GROK_RATIO * train_step and strict_step >= train_step + GROK_LAG
    return GROKKING if late else COMPREHENSION


def first_lasting(curve: Sequence[Evaluation], field: str) -> int | None:
    """First step from which `field` is >= LEARNED for HELD_FOR evaluations in a row."""
    run = 0
    for i, evaluation in enumerate(curve):
        run = run + 1 if getattr(evaluation, field) >= LEARNED else 0
        if run == HELD_FOR:
            return curve[i - HELD_FOR + 1].step
    return None


def diverged(curve: Sequence[Evaluation], ratio: float) -> bool:
    """The loss is not finite, or ends at more than `ratio` times what it was at the start."""
    last = curve[-1].loss
    return not math.isfinite(last) or last > ratio * curve[0].loss


def settled(curve: Sequence[Evaluation]) -> bool:
    """Nothing more is to be learned: training pairs are, and strict accuracy has been full for
    SETTLED_FOR evaluations. (Of a few strict pairs all may be right while training has just begun.)
    """
    tail = curve[-SETTLED_FOR:]
    is_full = len(tail) == SETTLED_FOR and all(e.val_acc_strict >= SETTLED for e in tail)
    return is_full and first_lasting(curve, "train_acc") is not None


def first(curve: Sequence[Evaluation], field: str, level: float) -> int | None:
    """First step at which `field` is at least `level`."""
    return next((e.step for e in curve if getattr(e, field) >= level), None)
