"""A batch of several members with random weights, and the structures that models may have."""

import itertools

import torch

from grokmodel.image.attention import ImageTable
from grokmodel.image.layers import embed
from grokmodel.image.model import Layout, denoise, patchify, unpatchify
from tests.grokmodel.reference import Reference

M, B, T, K = 3, 8, 4, 2
"""Members, triplets, noise levels and distinct operand images of a test batch: few enough for a
table to pay with two heads and four tokens per image."""

STRUCTURES = list(itertools.product(("baseline", "sandwich"), (1, 2), (1, 2), (8, 4)))
"""Variant, depth, heads, patch."""


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Batch:
    """Random weights of M members and a random batch each, in float64."""

    def __init__(self, shape, members=M):
        self.shape = shape
        self.layout = Layout(shape)
        self.weights = 0.2 * random(members, self.layout.n)
        self.bank = random(members, K, shape.side, shape.side, seed=1)
        generator = torch.Generator().manual_seed(5)
        self.rows = torch.randint(K, (members, B, 2), generator=generator)
        self.images = self.bank[torch.arange(members)[:, None, None], self.rows]
        self.x_t = random(members, B, shape.side, shape.side, seed=2)
        self.t = torch.sigmoid(random(members, T, seed=3))

    def predict(self, weights=None, t=None, hook=None, by_table=False):
        """Predicted images (M, B, S, S)."""
        params = self.layout.views(self.weights if weights is None else weights)
        patch = self.shape.patch
        operands = embed(params, patchify(self.images, patch)).flatten(2, 3)
        if by_table:
            operands = ImageTable(patchify(self.bank, patch), self.rows)
        tokens = patchify(self.x_t, patch)
        t = self.t if t is None else t
        return unpatchify(denoise(params, self.shape, operands, tokens, t, hook), patch)

    def reference(self, i):
        """Member i written the ordinary way."""
        return Reference(self.shape).double().load(self.layout.views(self.weights), i)

    def predict_by(self, reference, i):
        t_B = self.t[i].repeat_interleave(B // T)
        return reference(self.images[i, :, 0], self.images[i, :, 1], self.x_t[i], t_B)
