"""Samples -> valid, new, copied: what one evaluation of a pack measures.

A sample may be valid because it copies a training image, and an untrained flow draws one image over
and over, which may be valid by accident. So the rule is read from samples that are new and differ
from each other (`fresh` ones), and validity of all samples stands beside it.

By chance a group is valid in one of two images, an image in one of 2^G.

Shapes: M members, Q samples, X pixels, G groups of an image.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.outcome import Evaluation
from grokmodel.rules.images import copies, first_of_each, patterns, seen_groups, valid_groups
from grokmodel.rules.pack import Pack
from grokmodel.rules.sampling import sample

FEWEST = 0.1
"""Shares of fresh samples are of so many of all samples at least: when all but copies are drawn, a
few valid ones say nothing of the rule."""
MOST_BY_CHANCE = 0.5
"""Share of groups that even new images would have in common with training images, above which to
have them says nothing of memory."""


@torch.no_grad()
def evaluate(pack: Pack, losses_M: Tensor) -> list[Evaluation]:
    """One Evaluation for every row of the pack, given its mean training losses (M,)."""
    bits_MQX = sample(pack)
    val_M = pack.held_out_loss(pack.state.average)
    norm_M = pack.state.weights.norm(dim=1)
    columns = (pack.state.step, losses_M, val_M, norm_M)
    rows = zip(*(c.tolist() for c in columns), strict=True)
    return [
        Evaluation(
            step=step,
            loss=loss,
            val_loss=val_loss,
            weight_norm=norm,
            **measured(bits_QX, train_NX, member.config.group_size),
        )
        for (step, loss, val_loss, norm), bits_QX, train_NX, member in zip(
            rows, bits_MQX, pack.train, pack.members, strict=True
        )
    ]


def measured(bits_QX: np.ndarray, train_NX: np.ndarray, group_size: int) -> dict[str, float]:
    """What the samples of one member say, by field of Evaluation."""
    valid_QG = valid_groups(bits_QX, group_size)
    is_valid, is_copy = valid_QG.all(1), copies(bits_QX, train_NX)
    is_fresh = first_of_each(bits_QX) & ~is_copy
    fresh = max(is_fresh.mean(), FEWEST)
    novel = float((is_valid & is_fresh).mean())
    return {
        "train_acc": float(is_valid.mean()),
        "val_acc": float((valid_QG.mean(1) * is_fresh).mean() / fresh),
        "val_acc_strict": float(novel / fresh),
        "mem_share": float(is_copy.mean()),
        "novel_share": novel,
        "mem_groups": _mem_groups(bits_QX, train_NX, group_size),
    }


def _mem_groups(bits_QX: np.ndarray, train_NX: np.ndarray, group_size: int) -> float:
    """Share of groups that a training image has too, beyond that of new valid images: 0 if there is
    nothing beyond; NaN where new ones have too many."""
    chance = patterns(train_NX, group_size) / 2 ** (group_size - 1)
    if chance > MOST_BY_CHANCE:
        return math.nan
    seen = float(seen_groups(bits_QX, train_NX, group_size).mean())
    return max(0.0, (seen - chance) / (1 - chance))
