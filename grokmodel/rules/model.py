"""A small transformer over the pixels of an image, written once for M independent members.

A token is one pixel or some in a row: a linear map of their values, plus a learned position. As a
flow, all tokens see each other and time enters by adaLN (Peebles and Xie 2023, arXiv 2212.09748);
the output is x0_hat. As an autoregressive model, a token sees those before it, the sequence is
shifted by one and starts with 0, and the output is the logit that the next pixel is 1. LayerNorm
has no weights.

Shapes: M members, B images, L tokens, D width, H heads, n parameters of a member.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from grokmodel.core import member
from grokmodel.core.member import Params
from grokmodel.diffusion.layers import linear, modulate, norm, time_features
from grokmodel.rules.config import FLOW, PIXELS, RulesShape

ATTENTION = ("query", "key", "value", "out")


@dataclass(frozen=True)
class Layout(member.Layout):
    """Where each parameter of one member lies in its row of the weight matrix."""

    shape: RulesShape

    @cached_property
    def entries(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one member's parameter, in storage order; matrices are (in, out)."""
        s, D = self.shape, self.shape.width
        maps = {"embed": (s.pixels_per_token, D)} | ({"time": (D, D)} if s.model == FLOW else {})
        for i in range(s.depth):
            if s.model == FLOW:
                maps[f"block{i}.mod"] = (D, 6 * D)
            maps |= {f"block{i}.{name}": (D, D) for name in ATTENTION}
            maps |= {f"block{i}.ffn.up": (D, s.ffn), f"block{i}.ffn.down": (s.ffn, D)}
        if s.model == FLOW:
            maps["final.mod"] = (D, 2 * D)
        maps["final"] = (D, s.pixels_per_token)
        out: dict[str, tuple[int, ...]] = {"position": (PIXELS // s.pixels_per_token, D)}
        for name, size in maps.items():
            out[f"{name}.w"] = size
            if not name.endswith("key"):  # softmax cannot see what is added to all keys
                out[f"{name}.b"] = size[1:]
        return out

    def init(self, seed: int, scale: float) -> Tensor:
        """Fresh weights of one member, (n,): N(0, scale^2 / fan_in); positions, and the vector of
        the value of a single pixel, N(0, scale^2 / D), so that neither drowns the other; biases and
        the maps from time to adaLN vectors are 0."""
        summed = ("position", "embed.w") if self.shape.pixels_per_token == 1 else ("position",)
        generator = torch.Generator().manual_seed(seed)
        row_n = torch.zeros(1, self.n)
        for name, p in self.views(row_n).items():
            if name == "position" or (name.endswith(".w") and not name.endswith("mod.w")):
                fan_in = self.shape.width if name in summed else p.shape[1]
                p.copy_(torch.randn(p.shape, generator=generator) * scale / math.sqrt(fan_in))
        return row_n[0]


class Cache:
    """Keys and values of the pixels so far, by block."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[Tensor, Tensor]] = {}

    def extended(self, name: str, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Those of all pixels, given those of new ones, (M B, H, L, E) each."""
        if name in self.parts:
            before = self.parts[name]
            key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
        self.parts[name] = (key, value)
        return key, value


def denoise(p: Params, shape: RulesShape, x_t_MBX: Tensor, t_MB: Tensor) -> Tensor:
    """Predict the clean image of a flow: x0_hat (M, B, X).

    Args:
        t_MB: noise level of every image; (M, 1) if it is the same for all.
    """
    time_MBD = F.silu(linear(p, "time", time_features(t_MB, shape.width)))
    h = (
        linear(p, "embed", x_t_MBX.unflatten(2, (-1, shape.pixels_per_token)))
        + p["position"][:, None]
    )
    for i in range(shape.depth):
        h = _block(p, f"block{i}", shape, h, time_MBD, None)
    shift, scale = _modulation(p, "final.mod", time_MBD, 2)
    return linear(p, "final", modulate(norm(h), shift, scale)).flatten(2)


def next_logits(p: Params, shape: RulesShape, bits_MBX: Tensor) -> Tensor:
    """Logits (M, B, X) that each pixel is 1, given those before it.

    Args:
        bits_MBX: 0 and 1; the last is not looked at.
    """
    signs = F.pad(2.0 * bits_MBX[..., :-1].to(p["position"].dtype) - 1.0, (1, 0))
    return _causal(p, shape, signs, 0, None)


def next_logit(p: Params, shape: RulesShape, sign_MB: Tensor, place: int, cache: Cache) -> Tensor:
    """Logit (M, B) that the pixel at `place` is 1, given the value of the one before it, 0 at the
    first place, and the cache of all before that."""
    return _causal(p, shape, sign_MB[..., None], place, cache).squeeze(-1)


def _causal(
    p: Params, shape: RulesShape, signs_MBL: Tensor, start: int, cache: Cache | None
) -> Tensor:
    position = p["position"][:, None, start : start + signs_MBL.shape[2]]
    h = linear(p, "embed", signs_MBL[..., None]) + position
    for i in range(shape.depth):
        h = _block(p, f"block{i}", shape, h, None, cache)
    return linear(p, "final", norm(h)).squeeze(-1)


def _block(
    p: Params, name: str, shape: RulesShape, h: Tensor, time: Tensor | None, cache: Cache | None
) -> Tensor:
    """One transformer block (M, B, L, D); without time it is causal."""
    if time is None:
        h = h + _attend(p, name, shape, norm(h), True, cache)
        return h + _ffn(p, name, norm(h))
    shift1, scale1, gate1, shift2, scale2, gate2 = _modulation(p, f"{name}.mod", time, 6)
    attended = _attend(p, name, shape, modulate(norm(h), shift1, scale1), False, None)
    h = torch.addcmul(h, gate1, attended)
    return torch.addcmul(h, gate2, _ffn(p, name, modulate(norm(h), shift2, scale2)))


def _modulation(p: Params, name: str, time_MBD: Tensor, parts: int) -> tuple[Tensor, ...]:
    """adaLN vectors, each (M, B, 1, D): shift, scale, gate, ... Scales and gates start at 1."""
    vectors = linear(p, name, time_MBD)[:, :, None].chunk(parts, dim=-1)
    return tuple(v + 1.0 if i % 3 else v for i, v in enumerate(vectors))


def _ffn(p: Params, name: str, x: Tensor) -> Tensor:
    return linear(p, f"{name}.ffn.down", F.gelu(linear(p, f"{name}.ffn.up", x)))


def _attend(
    p: Params, name: str, shape: RulesShape, x: Tensor, is_causal: bool, cache: Cache | None
) -> Tensor:
    """Attention of tokens over each other, or of a new one over those in the cache and itself."""

    def heads(part: str) -> Tensor:
        y = linear(p, f"{name}.{part}", x).flatten(0, 1)  # (M B, L, D)
        return y.unflatten(-1, (shape.heads, -1)).transpose(1, 2)

    query, key, value = heads("query"), heads("key"), heads("value")
    if cache is not None:
        key, value = cache.extended(name, key, value)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=is_causal and cache is None)
    mixed = mixed.transpose(1, 2).flatten(2).unflatten(0, x.shape[:2])
    return linear(p, f"{name}.out", mixed)
