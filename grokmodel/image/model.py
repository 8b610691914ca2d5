"""A Diffusion Transformer written once for M independent members.

Every weight has a leading member axis and every product is a batched matrix product, so a pack of M
small models is one program; M = 1 is a single model. The sequence is [a-tokens, b-tokens,
c-tokens]: two clean operand images and the noisy result image. Time enters by adaLN (Peebles and
Xie 2023, arXiv 2212.09748). Only c-tokens reach the loss, so the last block computes queries, FFN
and output for c-tokens alone, which is exact.

Shapes: M members, B triplets, L tokens of a triplet, C tokens of one image, X pixels of a token,
D width, H heads, E = D / H, n parameters of a member; B = T levels of t times G rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from grokmodel.core import member
from grokmodel.core.member import Hook, Params
from grokmodel.diffusion.layers import linear, modulate, norm, time_features
from grokmodel.image.attention import ImageTable, attend, attend_to_table
from grokmodel.image.layers import embed, ffn, hooked, hooked_parts, modulation
from grokmodel.image.shape import PackShape


@dataclass(frozen=True)
class Layout(member.Layout):
    """Where each parameter of one member lies in its row of the weight matrix."""

    shape: PackShape
    inside = ("block", "sandwich")

    @cached_property
    def entries(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one member's parameter, in storage order."""
        s, D = self.shape, self.shape.width
        out: dict[str, tuple[int, ...]] = {}

        def add(name: str, fan_in: int, fan_out: int, bias: bool = True) -> None:
            out[f"{name}.w"] = (fan_in, fan_out)
            if bias:
                out[f"{name}.b"] = (fan_out,)

        def add_ffn(name: str, hidden: int) -> None:
            add(f"{name}.up", D, hidden * (2 if s.activation == "swiglu" else 1))
            add(f"{name}.down", hidden, D)

        add("embed", s.token_dim, D)
        if s.position == "learned":
            out["position"] = (3 * s.tokens_per_image, D)
        add("time", D, D)
        if s.time_embedding == "mlp":
            add("time_out", D, D)
        if s.variant == "sandwich":
            add("sandwich.mod", D, 3 * D)
            add_ffn("sandwich.ffn", s.sandwich_ffn or s.ffn)
        for i in range(s.depth):
            add(f"block{i}.mod", D, 6 * D)
            for name in ("query", "key", "value", "out"):
                add(f"block{i}.{name}", D, D, bias=name != "key")  # softmax cannot see it
            add_ffn(f"block{i}.ffn", s.ffn)
        add("final.mod", D, 2 * D)
        add("final", D, s.token_dim)
        return out

    def init(self, seed: int, scale: float, zero_output: bool = False) -> Tensor:
        """Fresh weights of one member, (n,): N(0, scale^2 / fan_in); biases and the maps from time
        to adaLN vectors are 0, and the output layer if asked for."""
        generator = torch.Generator().manual_seed(seed)
        row_n = torch.zeros(1, self.n)
        for name, p in self.views(row_n).items():
            if name.endswith("mod.w") or (zero_output and name == "final.w"):
                continue
            if name == "position" or name.endswith(".w"):
                fan_in = p.shape[1] if name != "position" else p.shape[2]
                p.copy_(torch.randn(p.shape, generator=generator) * scale / math.sqrt(fan_in))
        return row_n[0]


def patchify(images_XSS: Tensor, patch: int) -> Tensor:
    """Images (..., S, S) -> tokens (..., C, patch^2)."""
    *lead, S, _ = images_XSS.shape
    k = S // patch
    tiles = images_XSS.reshape(*lead, k, patch, k, patch).transpose(-3, -2)
    return tiles.reshape(*lead, k * k, patch * patch)


def unpatchify(tokens: Tensor, patch: int) -> Tensor:
    """Inverse of `patchify`."""
    *lead, C, _ = tokens.shape
    k = math.isqrt(C)
    tiles = tokens.reshape(*lead, k, k, patch, patch).transpose(-3, -2)
    return tiles.reshape(*lead, k * patch, k * patch)


def time_vector(p: Params, shape: PackShape, t_MT: Tensor) -> Tensor:
    """What adaLN is told of the noise levels, (M, T, D)."""
    time = F.silu(linear(p, "time", time_features(t_MT, shape.width).to(p["time.w"].dtype)))
    return F.silu(linear(p, "time_out", time)) if shape.time_embedding == "mlp" else time


def denoise(
    p: Params,
    shape: PackShape,
    operands: Tensor | ImageTable,
    x_t_MBCX: Tensor,
    t_MT: Tensor,
    hook: Hook | None = None,
) -> Tensor:
    """Predict the clean result image from the operands and the noisy result.

    Args:
        operands: embedded tokens of a, then of b, without position, (M, B, 2C, D); or the table of
            their images, which is faster where few images make many rows.
        x_t_MBCX: noisy tokens of c.
        t_MT: noise levels in [0, 1]; T divides B, and level k belongs to the k-th B / T rows. All
            that depends on time alone is computed once a level.
        hook: sees, and may replace, the activations of every hook point: see `probing/hooks.py`.

    Returns:
        x0_hat, (M, B, C, X), in the data type of the weights.
    """
    T, C = t_MT.shape[1], shape.tokens_per_image
    x_t = x_t_MBCX.unflatten(1, (T, -1))  # (M, T, G, C, X): G rows share a level
    if shape.input_gate:
        seen_MT = (1.0 - t_MT / shape.visible_below).clamp(min=0.0)
        x_t = x_t * seen_MT[:, :, None, None, None]
    time = time_vector(p, shape, t_MT)
    position = p.get("position")
    current = embed(p, x_t, None if position is None else position[:, 2 * C :])
    if isinstance(operands, ImageTable) and hook is None and _table_pays(shape, operands):
        h = _block_on_table(p, "block0", shape, operands, current, time)
    else:
        h = _blocks(p, shape, operands, current, time, hook)
    shift, scale = modulation(p, "final.mod", shape, time, 2)
    h = modulate(norm(h, shape.norm == "pre"), shift, scale)
    return hooked(hook, "output", linear(p, "final", h)).flatten(1, 2)


def with_position(p: Params, tokens: Tensor, which: slice) -> Tensor:
    """Tokens (M, T, G, L, D) plus their learned positions; rotary ones come with attention."""
    position = p.get("position")
    return tokens if position is None else tokens + position[:, None, None, which]


def _table_pays(shape: PackShape, table: ImageTable) -> bool:
    """Attention comes first and is linear in the keys, and scores with the whole table are fewer
    than a key has numbers."""
    comes_first = shape.variant == "baseline" and shape.depth == 1
    is_linear = not shape.qk_norm and shape.position == "learned"
    few = shape.heads * table.tokens_an_operand <= shape.width
    return comes_first and is_linear and few


def _blocks(
    p: Params,
    shape: PackShape,
    operands: Tensor | ImageTable,
    current: Tensor,
    time: Tensor,
    hook: Hook | None,
) -> Tensor:
    """All blocks on all tokens, the last for the result's tokens alone: (M, T, G, C, D)."""
    C = shape.tokens_per_image
    embedded = operands.embedded(p) if isinstance(operands, ImageTable) else operands
    embedded = embedded.unflatten(1, (time.shape[1], -1))
    context = with_position(p, embedded, slice(0, 2 * C))
    context, current = hooked_parts(hook, "embedding", [context, current], -2)
    if shape.variant == "sandwich" or shape.depth > 1:
        h = torch.cat([context, current], dim=-2)
        if shape.variant == "sandwich":
            shift, scale, gate = modulation(p, "sandwich.mod", shape, time, 3)
            pre = modulate(norm(h, shape.norm in ("pre", "ffn")), shift, scale)
            made = ffn(p, "sandwich.ffn", shape, pre, hook)
            h = torch.addcmul(h, gate, made) if shape.sandwich_skip else gate * made
        for i in range(shape.depth - 1):
            h = _block(p, f"block{i}", shape, [h], time, hook)
        context, current = h.split([2 * C, C], dim=-2)
    return _block(p, f"block{shape.depth - 1}", shape, [context, current], time, hook)


def _block(
    p: Params, name: str, shape: PackShape, parts: list[Tensor], time: Tensor, hook: Hook | None
) -> Tensor:
    """One transformer block on the tokens of all `parts`; returns those of the last part."""
    vectors = modulation(p, f"{name}.mod", shape, time, 6)
    shift, scale = vectors[:2]
    seen = [modulate(norm(h, shape.norm == "pre"), shift, scale) for h in parts]
    attended = attend(p, name, shape, seen, hook)
    return _rest_of_block(p, name, shape, parts[-1], attended, vectors, hook)


def _block_on_table(
    p: Params, name: str, shape: PackShape, table: ImageTable, current: Tensor, time: Tensor
) -> Tensor:
    """The same for a block that comes first and last, on operands from a table."""
    vectors = modulation(p, f"{name}.mod", shape, time, 6)
    shift, scale = vectors[:2]
    own = norm(current, shape.norm == "pre")
    attended = attend_to_table(p, name, shape, table, own, shift, scale)
    return _rest_of_block(p, name, shape, current, attended, vectors, None)


def _rest_of_block(
    p: Params,
    name: str,
    shape: PackShape,
    h: Tensor,
    attended: Tensor,
    vectors: list[Tensor],
    hook: Hook | None,
) -> Tensor:
    """Residual sum and FFN after attention."""
    gate1, shift2, scale2, gate2 = vectors[2:]
    h = torch.addcmul(h, gate1, attended)
    pre = modulate(norm(h, shape.norm in ("pre", "ffn")), shift2, scale2)
    return torch.addcmul(h, gate2, ffn(p, f"{name}.ffn", shape, pre, hook))
