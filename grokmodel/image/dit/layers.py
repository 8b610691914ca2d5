"""What a `DiT` is made of: adaLN, attention, FFN, blocks.

Every hook point of `probing/hooks.py` is the output of a submodule, so that PyTorch's forward hooks
and nnsight read and replace it; where no layer computes it by itself, that is an `nn.Identity`.

Shapes: B triplets, C tokens of an image, L = 3C tokens of a triplet, R rows: tokens that are
computed (L, or in the last block the C of the result), D width, H heads, E = D / H, F hidden units,
X pixels of a token.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grokmodel.diffusion.layers import time_features
from grokmodel.image.attention import rotated
from grokmodel.image.shape import PackShape


def layer_norm(width: int, on: bool) -> nn.Module:
    """LayerNorm without weights of its own, which adaLN brings; or nothing."""
    return nn.LayerNorm(width, elementwise_affine=False) if on else nn.Identity()


class TimeEmbedding(nn.Module):
    """What adaLN is told of the noise level: t (B,) in [0, 1] -> (B, D)."""

    def __init__(self, shape: PackShape) -> None:
        super().__init__()
        D = shape.width
        self.linear = nn.Linear(D, D)
        self.out = nn.Linear(D, D) if shape.time_embedding == "mlp" else None

    def forward(self, t_B: Tensor) -> Tensor:
        features = time_features(t_B, self.linear.in_features)
        time = F.silu(self.linear(features.to(self.linear.weight.dtype)))
        return time if self.out is None else F.silu(self.out(time))


class AdaLN(nn.Module):
    """Vectors (B, 1, D) from time (B, D): shift, scale, gate, shift, ... Scales start at 1, gates
    at 1 or for adaLN-Zero at 0. Source: Peebles and Xie, arXiv 2212.09748."""

    def __init__(self, shape: PackShape, parts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(shape.width, parts * shape.width)
        start = (0.0, 1.0, 0.0 if shape.adaln_zero else 1.0)
        self.start = [start[i % 3] for i in range(parts)]

    def forward(self, time_BD: Tensor) -> list[Tensor]:
        vectors = self.linear(time_BD)[:, None].chunk(len(self.start), dim=-1)
        return [vector + start for vector, start in zip(vectors, self.start)]


class SwiGLU(nn.Module):
    """(..., 2F) -> (..., F): the first half gates the second. Source: arXiv 2002.05202."""

    def forward(self, x: Tensor) -> Tensor:
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate) * value


class FFN(nn.Module):
    """Feed-forward network, (B, R, D) -> (B, R, D)."""

    def __init__(self, shape: PackShape, hidden: int) -> None:
        super().__init__()
        gated = shape.activation == "swiglu"
        self.up = nn.Linear(shape.width, 2 * hidden if gated else hidden)
        self.activation = SwiGLU() if gated else nn.GELU()
        self.down = nn.Linear(hidden, shape.width)
        self.pre = nn.Identity()  # (B, R, F), for SwiGLU (B, R, 2F)
        self.post = nn.Identity()  # (B, R, F)

    def forward(self, x: Tensor) -> Tensor:
        pre = self.pre(self.up(x))
        return self.down(self.post(self.activation(pre)))


class Attention(nn.Module):
    """Attention of the last R tokens over all L: (B, L, D) -> (B, R, D).

    Every step is written out, down to the weighted values, so that each can be replaced; a batch
    takes B * R * L * D numbers for it.
    """

    def __init__(self, shape: PackShape) -> None:
        super().__init__()
        D = shape.width
        self.heads, self.rotary = shape.heads, shape.position == "rotary"
        self.to_query = nn.Linear(D, D)
        self.to_key = nn.Linear(D, D, bias=False)  # softmax cannot see it
        self.to_value = nn.Linear(D, D)
        self.out = nn.Linear(D, D)
        self.qk_norm = layer_norm(D // shape.heads, shape.qk_norm)
        self.query = nn.Identity()  # (B, R, H, E), before rotary positions, as are keys
        self.key = nn.Identity()  # (B, L, H, E)
        self.value = nn.Identity()  # (B, L, H, E)
        self.score = nn.Identity()  # (B, R, L, H), before softmax
        self.weight = nn.Identity()  # (B, R, L, H), sums to 1 over L
        self.weighted_value = nn.Identity()  # (B, R, L, H, E)
        self.head_output = nn.Identity()  # (B, R, H, E)

    def forward(self, x_BLD: Tensor, rows: int) -> Tensor:
        q = self.query(self.qk_norm(self._by_head(self.to_query(x_BLD[:, -rows:]))))
        k = self.key(self.qk_norm(self._by_head(self.to_key(x_BLD))))
        v = self.value(self._by_head(self.to_value(x_BLD)))
        if self.rotary:
            q, k = rotated(q, x_BLD.shape[1] - rows), rotated(k, 0)
        score = torch.einsum("brhe,blhe->brlh", q, k) / math.sqrt(q.shape[-1])
        weight = self.weight(self.score(score).softmax(dim=2))
        weighted = self.weighted_value(weight[..., None] * v[:, None])
        return self.out(self.head_output(weighted.sum(dim=2)).flatten(-2))

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, tokens, D) -> (B, tokens, H, E)."""
        return x.unflatten(-1, (self.heads, -1))


class Sandwich(nn.Module):
    """The FFN between embedding and attention: (B, L, D) -> (B, L, D)."""

    def __init__(self, shape: PackShape) -> None:
        super().__init__()
        self.skip = shape.sandwich_skip
        self.adaln = AdaLN(shape, 3)
        self.norm = layer_norm(shape.width, shape.norm in ("pre", "ffn"))
        self.ffn = FFN(shape, shape.sandwich_ffn or shape.ffn)

    def forward(self, h_BLD: Tensor, time_BD: Tensor) -> Tensor:
        shift, scale, gate = self.adaln(time_BD)
        made = gate * self.ffn(self.norm(h_BLD) * scale + shift)
        return h_BLD + made if self.skip else made


class Block(nn.Module):
    """One transformer block: (B, L, D) -> the last R tokens (B, R, D)."""

    def __init__(self, shape: PackShape) -> None:
        super().__init__()
        D = shape.width
        self.adaln = AdaLN(shape, 6)
        self.norm1 = layer_norm(D, shape.norm == "pre")
        self.attention = Attention(shape)
        self.norm2 = layer_norm(D, shape.norm in ("pre", "ffn"))
        self.ffn = FFN(shape, shape.ffn)

    def forward(self, h_BLD: Tensor, time_BD: Tensor, rows: int) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaln(time_BD)
        attended = self.attention(self.norm1(h_BLD) * scale1 + shift1, rows)
        h = h_BLD[:, -rows:] + gate1 * attended
        return h + gate2 * self.ffn(self.norm2(h) * scale2 + shift2)


class Final(nn.Module):
    """Tokens of the result to their pixels: (B, C, D) -> (B, C, X)."""

    def __init__(self, shape: PackShape) -> None:
        super().__init__()
        self.adaln = AdaLN(shape, 2)
        self.norm = layer_norm(shape.width, shape.norm == "pre")
        self.linear = nn.Linear(shape.width, shape.token_dim)

    def forward(self, h_BCD: Tensor, time_BD: Tensor) -> Tensor:
        shift, scale = self.adaln(time_BD)
        return self.linear(self.norm(h_BCD) * scale + shift)
