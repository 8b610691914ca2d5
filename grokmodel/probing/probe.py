"""Trained members, ready to be run on pairs of one's choosing, with a hook if need be.

The averaged weights are what is looked at, in float32 whatever the precision of training. All
randomness is a function of (seed, draw), so that a trial gives the same rows alone, among others
and at any time.

Shapes: M members, Q pairs, P modulus, C tokens of an image, X pixels of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from grokmodel.core import noise
from grokmodel.core.member import Hook
from grokmodel.data.pairs import UNDEFINED, Split, result_table
from grokmodel.diffusion import flow
from grokmodel.image.evaluate import Decoders, reader
from grokmodel.image.model import denoise, unpatchify
from grokmodel.image.pack import Banks, Member, Pack, bank_key
from grokmodel.probing.cyclic import CyclicOrder, cyclic_order
from grokmodel.probing.null import random_orders

SEVERAL = 2
"""Steps, if it does not matter how many."""


def all_pairs(P: int) -> np.ndarray:
    """(P^2, 2) every pair (a, b), pair a * P + b in row a * P + b."""
    return np.argwhere(np.ones((P, P), dtype=bool))


class Probe:
    """Members of one PackShape, P and operation, and Q pairs each.

    Args:
        pair_MQ2: pairs of every member; None: the whole grid of P^2 pairs, a-major.

    Raises:
        ValueError: members of different kinds.
    """

    def __init__(
        self,
        members: Sequence[Member],
        banks: Banks,
        device: torch.device,
        pair_MQ2: np.ndarray | None = None,
    ) -> None:
        first = members[0].config
        kinds = {(m.config.P, m.config.op) for m in members}
        if len(kinds) > 1:
            raise ValueError(f"members of (P, op) = {sorted(kinds)}; need one kind at a time")
        self.members, self.banks, self.device = list(members), banks, device
        self.pack = Pack(members, banks, device)
        self.shape, self.P = self.pack.shape, first.P
        self.order: CyclicOrder = cyclic_order(first.op, first.P)
        self.params = self.pack.layout.views(self.pack.state.average)
        if pair_MQ2 is None:
            pair_MQ2 = np.broadcast_to(all_pairs(self.P), (len(members), self.P**2, 2))
        c_MQ = result_table(first.op, first.P)[pair_MQ2[..., 0], pair_MQ2[..., 1]]
        self.defined_MQ = torch.from_numpy(c_MQ != UNDEFINED).to(device)
        self.pair_MQ2 = torch.from_numpy(pair_MQ2.copy()).to(device)
        self.c_MQ = torch.from_numpy(c_MQ.clip(min=0)).to(device)

    def at(self, pair_MQ2: np.ndarray) -> Probe:
        """The same members at other pairs."""
        return Probe(self.members, self.banks, self.device, pair_MQ2)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def Q(self) -> int:
        return self.pair_MQ2.shape[1]

    @cached_property
    def random_orders(self) -> list[np.ndarray]:
        """For each member (R, n) random orders of the group's elements: the null of its spectra."""
        return [random_orders(self.order.n, m.config.seed, self.P) for m in self.members]

    def wrong_classes(self) -> Tensor:
        """(M, Q) a class other than the right one, every other being equally likely."""
        rngs = [np.random.default_rng([m.config.seed, self.P, 1]) for m in self.members]
        shift = np.stack([rng.integers(1, self.P, self.Q) for rng in rngs])
        return (self.c_MQ + torch.from_numpy(shift).to(self.device)) % self.P

    def _draw(self, draw: int) -> Tensor:
        return torch.full_like(self.pack.state.step, draw)

    def is_certain(self, t: float) -> bool:
        """Every draw shows the model the same at level t: one image per symbol and no noise."""
        unseen = t == 0 or (t >= self.shape.visible_below and self.shape.input_gate)
        return self.pack.single_image and unseen

    def operands(self, draw: int = 0, pair_MQ2: Tensor | None = None) -> Tensor:
        """Embedded images of both operands, drawn anew for every `draw` if N > 1."""
        pairs = self.pair_MQ2 if pair_MQ2 is None else pair_MQ2
        image_MQ2 = self.pack.draw_images(pairs, noise.SITE_IMAGE, self._draw(draw))
        return self.pack.embed_operands(self.params, image_MQ2)

    def targets(self, draw: int = 0, c_MQ: Tensor | None = None) -> Tensor:
        """(M, Q, X) standardized images of the right results, or of the classes `c_MQ`."""
        classes = self.c_MQ if c_MQ is None else c_MQ
        # stream of its own, so that the image of c says nothing about those of a and b
        image = self.pack.draw_images(classes[..., None], noise.SITE_TARGET, self._draw(draw))
        return self.pack.bank.images[image[..., 0]].flatten(2)

    def noise(self, draw: int = 0) -> Tensor:
        """(M, Q, X) standard normal start of a sample."""
        X = self.shape.side**2
        return noise.normal(self.pack.seed_M, noise.SITE_NOISE, self._draw(draw), self.Q, X)

    def predict(
        self, x_MQX: Tensor, t: float, operands: Tensor, hook: Hook | None = None
    ) -> Tensor:
        """x0_hat (M, Q, X) at one noise level t."""
        C = self.shape.tokens_per_image
        t_M1 = x_MQX.new_full((len(self), 1), t)
        tokens = x_MQX.unflatten(-1, (C, -1))
        return denoise(self.params, self.shape, operands, tokens, t_M1, hook).flatten(2)

    def sample(
        self,
        x_MQX: Tensor,
        steps: int,
        operands: Tensor,
        hook: Hook | None = None,
        t_start: float = 1.0,
    ) -> Tensor:
        """Samples (M, Q, X) by `steps` Euler steps from `t_start`, with the hook in every step."""
        for k in range(steps, 0, -1):
            x0_hat = self.predict(x_MQX, t_start * k / steps, operands, hook)
            x_MQX = flow.euler_step(x_MQX, x0_hat, k)
        return x_MQX

    def noised(self, t: float, draw: int, c_MQ: Tensor | None = None) -> Tensor:
        """Images of the results (or of `c_MQ`) on the straight path to noise at level t."""
        t_M1 = self.pack.state.weights.new_full((len(self), 1), t)
        return flow.interpolate(self.targets(draw, c_MQ), self.noise(draw), t_M1)

    def classes(self, x_MQX: Tensor, decoders: Decoders, steps: int = SEVERAL) -> Tensor:
        """(M, Q) class of every image; an image that is not finite gets UNDEFINED.

        Args:
            steps: Euler steps that drew the images. One step from noise gives an expectation,
                which is read as such.
        """
        out = []
        for member, x_QX in zip(self.members, x_MQX, strict=True):
            key = bank_key(member.config)
            tokens = x_QX.unflatten(-1, (self.shape.tokens_per_image, -1))
            ink = self.banks[key].ink(unpatchify(tokens, self.shape.patch))
            decoder = reader(member.config, decoders, self.banks, steps)
            found = decoder.classify(ink.nan_to_num())
            out.append(torch.where(x_QX.isfinite().all(-1), found, UNDEFINED))
        return torch.stack(out)

    def right(self, x_MQX: Tensor, decoders: Decoders, steps: int = SEVERAL) -> Tensor:
        """(M, Q) bool: the image, drawn in so many steps, decodes to a ∘ b."""
        return (self.classes(x_MQX, decoders, steps) == self.c_MQ) & self.defined_MQ

    def templates(self) -> Tensor:
        """(M, P, X) mean standardized image of every class."""
        images = (self.pack.images_of(i).flatten(1) for i in range(len(self)))
        return torch.stack([x.unflatten(0, (self.P, -1)).mean(1) for x in images])


class Splits(Protocol):
    """What a pack knows of its members' pairs."""

    splits: list[Split]


class Grids(Protocol):
    """Members of any family over the whole grid of pairs."""

    P: int
    order: CyclicOrder
    device: torch.device
    defined_MQ: Tensor

    @property
    def members(self) -> Sequence[Any]: ...
    @property
    def pack(self) -> Splits: ...


class Shares(NamedTuple):
    """Accuracies of one member over the grid; NaN where there are no such pairs."""

    train: float
    val: float
    strict: float


def shares(right_MQ: Tensor, probe: Grids, in_group: bool = False) -> list[Shares]:
    """Accuracies of each member, from what is right over the whole grid.

    Args:
        in_group: count only pairs that the Fourier analysis is about: without 0 for × and ÷.
    """
    counted = probe.order.pairs if in_group else np.arange(probe.P**2)
    out = []
    for split, right in zip(probe.pack.splits, right_MQ.cpu().numpy()):
        pairs = (split.train, split.val, split.val[split.strict])
        numbers = [some @ (probe.P, 1) for some in pairs]
        ok = [right[q[np.isin(q, counted)]] for q in numbers]
        out.append(Shares(*(float(v.mean()) if len(v) else float("nan") for v in ok)))
    return out
