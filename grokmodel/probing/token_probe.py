"""Trained token models, run on all pairs, with a hook if need be.

The averaged weights are what is looked at. Hook points have the names of the image model's, so that
tables and figures mean the same; the token model has no noise level, and its rows have t = 1.

Shapes: M members, Q = P^2 pairs, P modulus, T = 3 tokens of a pair, H heads, E features of a head,
d features of a hook point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.member import Hook
from grokmodel.data.pairs import UNDEFINED
from grokmodel.probing.activations import Grid
from grokmodel.probing.cyclic import CyclicOrder, cyclic_order
from grokmodel.probing.hooks import NO_HEAD, OPERANDS, HookPoint, recorder, replacing
from grokmodel.probing.null import random_orders
from grokmodel.tokens.model import HOOK_POINTS, forward
from grokmodel.tokens.pack import Member, Pack

T = 1.0
"""What rows of token models have for the noise level."""
PER_HEAD = ("score", "weight", "head_output")
PER_OPERAND = ("embedding", "score", "weight")
NEURONS, OUTPUT = HookPoint("block0.ffn.post"), HookPoint("output")


class TokenProbe:
    """Members of one shape and operation, over the whole grid of pairs, pair (a, b) in a P + b."""

    def __init__(self, members: Sequence[Member], device: torch.device) -> None:
        self.members = list(members)
        self.pack = Pack(members, device)
        self.device, self.shape = device, self.pack.shape
        self.P = self.shape.P
        self.order: CyclicOrder = cyclic_order(members[0].config.op, self.P)
        self.params = self.pack.params(self.pack.state.average)
        pair_Q = torch.arange(self.P**2, device=device).expand(len(members), -1)
        self.a_MQ, self.b_MQ = pair_Q // self.P, pair_Q % self.P
        c_MQ = self.pack.results(torch.stack([self.a_MQ, self.b_MQ], dim=2))
        self.defined_MQ = c_MQ != UNDEFINED
        self.c_MQ = c_MQ.clamp(min=0)

    def __len__(self) -> int:
        return len(self.members)

    @torch.no_grad()
    def predict(self, hook: Hook | None = None) -> Tensor:
        """Logits (M, Q, P) of all pairs."""
        return forward(self.params, self.shape, self.a_MQ, self.b_MQ, hook)

    def right(self, logits_MQP: Tensor) -> Tensor:
        """(M, Q) bool: the largest logit is that of a ∘ b, and all are finite."""
        is_finite_MQ = logits_MQP.isfinite().all(-1)
        return is_finite_MQ & (logits_MQP.argmax(-1) == self.c_MQ) & self.defined_MQ

    @cached_property
    def seen(self) -> dict[str, Tensor]:
        """Every activation (M, Q, ...) as the models are."""
        into: dict[str, Tensor] = {}
        self.predict(recorder(into))
        return into

    @cached_property
    def random_orders(self) -> list[np.ndarray]:
        """For each member (R, n) random orders of the group's elements: the null of its spectra."""
        return [random_orders(self.order.n, m.config.seed, self.P) for m in self.members]

    @cached_property
    def points(self) -> list[HookPoint]:
        """All hook points, from the input to the output."""
        out = []
        for name in HOOK_POINTS:
            kind = name.rsplit(".", 1)[-1]
            heads = range(self.shape.heads) if kind in PER_HEAD else (NO_HEAD,)
            operands = OPERANDS if kind in PER_OPERAND else ("",)
            out += [HookPoint(name, operand, head) for operand in operands for head in heads]
        return out

    def grids(self, i: int, points: Sequence[HookPoint] | None = None) -> list[Grid]:
        """What member i has at hook points, by default all."""
        return [
            Grid(point, self.grid(self.seen[point.name][i : i + 1], point))
            for point in points or self.points
        ]

    def grid(self, value: Tensor, point: HookPoint) -> np.ndarray:
        """(P, P, d) what one member, the only one in the value, has at a hook point."""
        part = part_of(point, value).reshape(self.P, self.P, -1)
        return np.asarray(part.float().cpu().numpy())


def part_of(point: HookPoint, value: Tensor) -> Tensor:
    """The part (M, Q, ...) of a whole activation that a hook point is; writing to it edits that."""
    if point.operand:  # (M, Q, T, ...)
        value = value[:, :, OPERANDS.index(point.operand)]
    return value if point.head == NO_HEAD else value[:, :, point.head]


def editor(points: Sequence[HookPoint], edit: Callable[[Tensor], Tensor]) -> Hook:
    """A hook that replaces the part of each of `points` by `edit(part)`."""
    return replacing(points, part_of, lambda _, part: edit(part))
