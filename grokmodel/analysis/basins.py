"""Where do random starts end: in a training image, in a new image of the right class, or neither?

Shapes: M members, Q starts, X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.data.pairs import split_pairs
from grokmodel.image.evaluate import Decoders, is_copy
from grokmodel.image.pack import Member
from grokmodel.probing.probe import Probe

STARTS = 128
"""Random starts for training pairs, and as many for strict pairs."""
TRAIN, STRICT = "train", "strict"


@dataclass(frozen=True)
class BasinRow:
    """Ends of the samples for one kind of pairs; meanings in the table `basins`."""

    pairs: str
    starts: int
    copy_share: float
    rule_share: float
    neither_share: float
    right_share: float


def basin_pairs(members: Sequence[Member]) -> np.ndarray:
    """(M, 2 * STARTS, 2): training pairs, then strict ones; drawn again where there are too few.

    A member without strict pairs gets held-out pairs in their place and no row for them.
    """
    out = []
    for member in members:
        split = split_pairs(member.config)
        strict = split.val[split.strict] if split.strict.any() else split.val
        out.append(np.concatenate([np.resize(x, (STARTS, 2)) for x in (split.train, strict)]))
    return np.stack(out)


@torch.no_grad()
def basins(grid: Probe, decoders: Decoders) -> list[list[BasinRow]]:
    """Rows of every member: shares of ends of `sample_steps` samples."""
    probe = grid.at(basin_pairs(grid.members))
    x_MQX = probe.sample(probe.noise(), probe.shape.sample_steps, probe.operands())
    right_MQ = probe.right(x_MQX, decoders, probe.shape.sample_steps)
    banks = (probe.pack.images_of(i).flatten(1) for i in range(len(probe)))
    copy_MQ = torch.stack([is_copy(x_QX, bank) for x_QX, bank in zip(x_MQX, banks, strict=True)])
    out = []
    for split, right, copy in zip(probe.pack.splits, right_MQ, copy_MQ, strict=True):
        rows = [_row(TRAIN, right[:STARTS], copy[:STARTS])]
        if split.strict.any():
            rows.append(_row(STRICT, right[STARTS:], copy[STARTS:]))
        out.append(rows)
    return out


def _row(pairs: str, right_Q: Tensor, copy_Q: Tensor) -> BasinRow:
    rule = right_Q & ~copy_Q
    neither = ~right_Q & ~copy_Q
    shares = [float(x.double().mean()) for x in (copy_Q, rule, neither, right_Q)]
    return BasinRow(pairs, len(right_Q), *shares)
