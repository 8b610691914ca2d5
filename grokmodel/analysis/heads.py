"""What each attention head does for the answer: activation patching and mean ablation.

Patching replaces one head's output by its value on another pair; ablation by its mean over all
pairs. The effect is read off the margin: how much nearer the sampled image is to the right class's
template than to the nearest wrong one, in squared distance per pixel.
Source of the measures: "Grokking From Abstraction to Intelligence".

Shapes: M members, Q pairs, P classes, X pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.member import Hook
from grokmodel.image.evaluate import Decoders
from grokmodel.probing.hooks import HookPoint, editor
from grokmodel.probing.probe import Grids, Probe, shares

T = 1.0
Edit = Callable[[Tensor], Tensor]
"""A head's output (M, Q, width) -> what stands in its place."""
Effect = tuple[list[float], list[float]]
"""Margin and strict accuracy of every member."""


@dataclass(frozen=True)
class HeadRow:
    """One head; meanings in the table `heads`."""

    block: int
    head: int
    margin: float
    margin_patched: float
    margin_ablated: float
    acc_strict: float
    acc_strict_patched: float
    acc_strict_ablated: float


@torch.no_grad()
def heads(probe: Probe, decoders: Decoders) -> list[list[HeadRow]]:
    """Rows of every member, from single predictions at t = 1 over the whole grid."""
    start, operands = probe.noise(), probe.operands()
    templates_MPX = probe.templates()

    def effect(hook: Hook | None) -> Effect:
        x_MQX = probe.predict(start, T, operands, hook)
        accuracy = [a.strict for a in shares(probe.right(x_MQX, decoders, steps=1), probe)]
        return margins(x_MQX, templates_MPX, probe.c_MQ, probe.defined_MQ), accuracy

    def hooked(point: HookPoint, edit: Edit) -> Hook:
        return editor([point], probe.shape, lambda _, part: edit(part))

    return rows_of(probe, probe.shape.depth, probe.shape.heads, effect, hooked)


def rows_of(
    probe: Grids,
    depth: int,
    heads: int,
    effect: Callable[[Hook | None], Effect],
    hooked: Callable[[HookPoint, Edit], Hook],
) -> list[list[HeadRow]]:
    """Rows of every member of any family.

    Args:
        effect: what is seen with a hook, or with none.
        hooked: the hook that edits one head.
    """
    member_M1 = torch.arange(len(probe.members), device=probe.device)[:, None]
    other_MQ, defined_Q = other_pairs(probe), probe.defined_MQ[0]

    def at_other_pair(part: Tensor) -> Tensor:
        return part[member_M1, other_MQ]

    def mean(part: Tensor) -> Tensor:
        return part[:, defined_Q].mean(1, keepdim=True).expand_as(part)

    clean = effect(None)
    rows: list[list[HeadRow]] = [[] for _ in probe.members]
    for block in range(depth):
        for head in range(heads):
            point = HookPoint(f"block{block}.head_output", head=head)
            patched, ablated = (effect(hooked(point, edit)) for edit in (at_other_pair, mean))
            for i, mine in enumerate(rows):
                margin, accuracy = ([e[k][i] for e in (clean, patched, ablated)] for k in (0, 1))
                mine.append(HeadRow(block, head, *margin, *accuracy))
    return rows


def margins(x_MQX: Tensor, templates_MPX: Tensor, c_MQ: Tensor, defined_MQ: Tensor) -> list[float]:
    """Mean over the defined pairs of d(nearest wrong template) - d(right template), squared
    distances per pixel: positive where the image is nearest to the right one."""
    square_MQP = torch.cdist(x_MQX, templates_MPX).square() / x_MQX.shape[-1]
    right_MQ1 = square_MQP.gather(2, c_MQ[..., None])
    wrong_MQ = square_MQP.scatter(2, c_MQ[..., None], torch.inf).amin(-1)
    margin_MQ = wrong_MQ - right_MQ1[..., 0]
    return [float(m[d].mean()) for m, d in zip(margin_MQ, defined_MQ, strict=True)]


def other_pairs(probe: Grids) -> Tensor:
    """(M, Q) a random other pair for every defined pair: a cycle through all of them."""
    defined = np.flatnonzero(probe.defined_MQ[0].cpu().numpy())
    out = []
    for member in probe.members:
        order = np.random.default_rng([member.config.seed, probe.P, 3]).permutation(defined)
        other = np.arange(len(probe.defined_MQ[0]))
        other[order] = np.roll(order, 1)
        out.append(other)
    return torch.from_numpy(np.stack(out)).to(probe.device)
