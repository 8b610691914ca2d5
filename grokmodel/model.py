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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from grokmodel.config import PackShape

Params = dict[str, Tensor]
"""Parameter name -> (M, ...) view of the rows of a weight matrix (M, n)."""
Tap = Callable[[str, Tensor], Tensor]
"""Called with the name and the value (M, B, ...) of every activation site; the model goes on with
what it returns. It must not write to the value that it is given."""
FEW_TOKENS = 16
"""Scores a row up to which a product and a sum beat a batched matmul of tiny matrices by far."""


@dataclass(frozen=True)
class Layout:
    """Where each parameter of one member lies in its row of the weight matrix."""

    shape: PackShape

    @cached_property
    def entries(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one member's parameter, in storage order."""
        s, D = self.shape, self.shape.width
        ffn_in = s.ffn * (2 if s.activation == "swiglu" else 1)
        out: dict[str, tuple[int, ...]] = {}

        def linear(name: str, fan_in: int, fan_out: int) -> None:
            out[f"{name}.w"] = (fan_in, fan_out)
            out[f"{name}.b"] = (fan_out,)

        def ffn(name: str) -> None:
            linear(f"{name}.up", D, ffn_in)
            linear(f"{name}.down", s.ffn, D)

        linear("embed", s.token_dim, D)
        out["position"] = (3 * s.tokens_per_image, D)
        linear("time", D, D)
        if s.variant == "sandwich":
            linear("sandwich.mod", D, 3 * D)
            ffn("sandwich.ffn")
        for i in range(s.depth):
            linear(f"block{i}.mod", D, 6 * D)
            for name in ("query", "key", "value", "out"):
                linear(f"block{i}.{name}", D, D)
            ffn(f"block{i}.ffn")
        linear("final.mod", D, 2 * D)
        linear("final", D, s.token_dim)
        return out

    @cached_property
    def sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self.entries.values()]

    @property
    def n(self) -> int:
        """Parameters of one member."""
        return sum(self.sizes)

    def views(self, weights_Mn: Tensor) -> Params:
        """Named (M, ...) views of a weight matrix (M, n); no copy."""
        M = len(weights_Mn)
        parts = weights_Mn.split(self.sizes, dim=1)
        items = zip(self.entries.items(), parts, strict=True)
        return {name: part.view(M, *shape) for (name, shape), part in items}

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Inverse of `views`, from (M, ...) tensors in storage order: (M, n)."""
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def init(self, seed: int, scale: float) -> Tensor:
        """Fresh weights of one member, (n,): N(0, scale^2 / fan_in), biases 0, adaLN gates open."""
        generator = torch.Generator().manual_seed(seed)
        row_n = torch.zeros(1, self.n)
        for name, p in self.views(row_n).items():
            if name.endswith("mod.w"):
                continue  # adaLN starts without a say of time, as in DiT
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


def linear(p: Params, name: str, x: Tensor) -> Tensor:
    """x (M, ..., in) times the member's own matrix: (M, ..., out)."""
    w, b = p[f"{name}.w"], p[f"{name}.b"]
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    return torch.baddbmm(b[:, None, :], flat, w).view(*x.shape[:-1], w.shape[-1])


def embed(p: Params, tokens: Tensor) -> Tensor:
    """Clean or noisy tokens (M, ..., X) -> (M, ..., D), without position."""
    return linear(p, "embed", tokens)


def time_features(t_MT: Tensor, width: int) -> Tensor:
    """Sinusoids of 1000 t as in DiT, (M, T, D)."""
    half = width // 2
    index = torch.arange(half, device=t_MT.device, dtype=t_MT.dtype)
    angle = 1000.0 * t_MT[..., None] * torch.exp(index * (-math.log(10_000.0) / half))
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def denoise(
    p: Params,
    shape: PackShape,
    operands_MBLD: Tensor,
    x_t_MBCX: Tensor,
    t_MT: Tensor,
    tap: Tap | None = None,
) -> Tensor:
    """Predict the clean result image from the operands and the noisy result.

    Args:
        operands_MBLD: embedded tokens of a, then of b (L = 2C), without position.
        x_t_MBCX: noisy tokens of c.
        t_MT: noise levels in [0, 1]; T divides B, and level k belongs to the k-th B / T rows. All
            that depends on time alone is computed once a level.
        tap: sees, and may replace, the activations of every site: see `analysis/sites.py`.

    Returns:
        x0_hat, (M, B, C, X).
    """
    C, T = shape.tokens_per_image, t_MT.shape[1]
    x_t = x_t_MBCX.unflatten(1, (T, -1))  # (M, T, G, C, X): G rows share a level
    if shape.input_gate:
        x_t = x_t * (1.0 - t_MT)[:, :, None, None, None]
    time = F.silu(linear(p, "time", time_features(t_MT, shape.width)))
    position = p["position"][:, None, None]
    context = operands_MBLD.unflatten(1, (T, -1)) + position[..., : 2 * C, :]
    current = embed(p, x_t) + position[..., 2 * C :, :]
    context, current = _site_of_parts(tap, "embedding", [context, current], -2)
    if shape.variant == "sandwich" or shape.depth > 1:
        h = torch.cat([context, current], dim=-2)
        if shape.variant == "sandwich":
            shift, scale, gate = _modulation(p, "sandwich.mod", time, 3)
            pre = _modulate(_norm(h, shape.norm in ("pre", "ffn")), shift, scale)
            h = torch.addcmul(h, gate, _ffn(p, "sandwich.ffn", shape, pre, tap))
        for i in range(shape.depth - 1):
            h = _block(p, f"block{i}", shape, [h], time, tap)
        context, current = h.split([2 * C, C], dim=-2)
    h = _block(p, f"block{shape.depth - 1}", shape, [context, current], time, tap)
    shift, scale = _modulation(p, "final.mod", time, 2)
    h = _modulate(_norm(h, shape.norm == "pre"), shift, scale)
    return _site(tap, "output", linear(p, "final", h)).flatten(1, 2)


def _block(
    p: Params, name: str, shape: PackShape, parts: list[Tensor], time: Tensor, tap: Tap | None
) -> Tensor:
    """One transformer block on the tokens of all `parts`; returns those of the last part."""
    shift1, scale1, gate1, shift2, scale2, gate2 = _modulation(p, f"{name}.mod", time, 6)
    seen = [_modulate(_norm(h, shape.norm == "pre"), shift1, scale1) for h in parts]
    h = torch.addcmul(parts[-1], gate1, _attention(p, name, shape, seen, tap))
    pre = _modulate(_norm(h, shape.norm in ("pre", "ffn")), shift2, scale2)
    return torch.addcmul(h, gate2, _ffn(p, f"{name}.ffn", shape, pre, tap))


def _attention(
    p: Params, name: str, shape: PackShape, parts: list[Tensor], tap: Tap | None
) -> Tensor:
    """Attention of the last part's tokens over the tokens of all parts: (..., rows, D).

    The parts are never copied into one tensor; only their scores are, and what a tap looks at.
    """
    H, E = shape.heads, shape.width // shape.heads
    q = _site(tap, f"{name}.query", linear(p, f"{name}.query", parts[-1]).unflatten(-1, (H, E)))
    keys = [linear(p, f"{name}.key", x).unflatten(-1, (H, E)) for x in parts]
    keys = _site_of_parts(tap, f"{name}.key", keys, -3)
    values = [linear(p, f"{name}.value", x).unflatten(-1, (H, E)) for x in parts]
    values = _site_of_parts(tap, f"{name}.value", values, -3)
    score = torch.cat([_scores(q, k) for k in keys], dim=-2) / math.sqrt(E)  # (..., rows, L, H)
    weight = _site(tap, f"{name}.score", score).softmax(dim=-2)
    if tap is None:
        weights = weight.split([v.shape[-3] for v in values], dim=-2)
        mixed = torch.stack([_mix(w, v) for w, v in zip(weights, values, strict=True)]).sum(0)
    else:
        weight = _site(tap, f"{name}.weight", weight)
        weighted = weight[..., None] * torch.cat(values, dim=-3)[..., None, :, :, :]
        mixed = _site(tap, f"{name}.weighted_value", weighted).sum(-3)
    mixed = _site(tap, f"{name}.head_output", mixed)
    return _site(tap, f"{name}.attention", linear(p, f"{name}.out", mixed.flatten(-2)))


def _scores(q: Tensor, k: Tensor) -> Tensor:
    """(..., rows, H, E) and (..., L, H, E) -> (..., rows, L, H)."""
    if q.shape[-3] * k.shape[-3] <= FEW_TOKENS:
        return (q[..., :, None, :, :] * k[..., None, :, :, :]).sum(-1)
    return torch.einsum("...qhe,...khe->...qkh", q, k)


def _mix(weight: Tensor, v: Tensor) -> Tensor:
    """(..., rows, L, H) and (..., L, H, E) -> (..., rows, H, E)."""
    if weight.shape[-3] * v.shape[-3] <= FEW_TOKENS:
        return (weight[..., None] * v[..., None, :, :, :]).sum(-3)
    return torch.einsum("...qkh,...khe->...qhe", weight, v)


def _ffn(p: Params, name: str, shape: PackShape, x: Tensor, tap: Tap | None) -> Tensor:
    pre = _site(tap, f"{name}.pre", linear(p, f"{name}.up", x))
    if shape.activation == "swiglu":
        gate, value = pre.chunk(2, dim=-1)
        post = F.silu(gate) * value
    else:
        post = F.gelu(pre)
    return linear(p, f"{name}.down", _site(tap, f"{name}.post", post))


def _modulation(p: Params, name: str, time: Tensor, parts: int) -> list[Tensor]:
    """adaLN vectors, each (M, T, 1, 1, D): shift, scale, gate, ...; scales and gates start at 1."""
    vectors = linear(p, name, time)[:, :, None, None].chunk(parts, dim=-1)
    return [v if i % 3 == 0 else v + 1.0 for i, v in enumerate(vectors)]


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return torch.addcmul(shift, x, scale)


def _norm(x: Tensor, on: bool) -> Tensor:
    return F.layer_norm(x, x.shape[-1:]) if on else x


def _site(tap: Tap | None, name: str, value: Tensor) -> Tensor:
    """`value` (M, T, G, ...) as the tap, which sees it as (M, B, ...), leaves it."""
    return value if tap is None else tap(name, value.flatten(1, 2)).view_as(value)


def _site_of_parts(tap: Tap | None, name: str, parts: list[Tensor], dim: int) -> list[Tensor]:
    """The same for a value in parts along `dim`, which the tap sees as one."""
    if tap is None:
        return parts
    sizes = [part.shape[dim] for part in parts]
    return list(_site(tap, name, torch.cat(parts, dim=dim)).split(sizes, dim=dim))
