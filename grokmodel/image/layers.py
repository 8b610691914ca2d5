"""The pieces that a model of M members is made of: embedding, adaLN, FFN, hooks.

Shapes: M members, T noise levels, G rows that share a level, L tokens, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from grokmodel.core.member import Hook, Params
from grokmodel.diffusion.layers import linear
from grokmodel.image.shape import PackShape


def embed(p: Params, tokens: Tensor, position: Tensor | None = None) -> Tensor:
    """Clean or noisy tokens (M, ..., X) -> (M, ..., D), with learned positions (M, L, D) if given:
    tokens are (M, T, G, L, X) then."""
    x = tokens.to(p["embed.w"].dtype)
    if position is None:
        return linear(p, "embed", x)
    if x.dtype != torch.bfloat16:
        return linear(p, "embed", x) + position[:, None, None]
    # Added one after the other, bias and position get the same sum as gradient, and for that torch
    # 2.13 writes faulty C++ in bfloat16. As one vector they would round otherwise in float32, too.
    offset = p["embed.b"][:, None] + position
    return linear({"embed.w": p["embed.w"]}, "embed", x) + offset[:, None, None]


def ffn(p: Params, name: str, shape: PackShape, x: Tensor, hook: Hook | None) -> Tensor:
    """Feed-forward network: (..., D) -> (..., D)."""
    pre = hooked(hook, f"{name}.pre", linear(p, f"{name}.up", x))
    if shape.activation == "swiglu":
        gate, value = pre.chunk(2, dim=-1)
        post = F.silu(gate) * value
    else:
        post = F.gelu(pre)
    return linear(p, f"{name}.down", hooked(hook, f"{name}.post", post))


def modulation(p: Params, name: str, shape: PackShape, time: Tensor, parts: int) -> list[Tensor]:
    """adaLN vectors, each (M, T, 1, 1, D): shift, scale, gate, ... Scales start at 1, gates at 1 or
    for adaLN-Zero at 0."""
    start = (0.0, 1.0, 0.0 if shape.adaln_zero else 1.0)
    vectors = linear(p, name, time)[:, :, None, None].chunk(parts, dim=-1)
    return [v + start[i % 3] if start[i % 3] else v for i, v in enumerate(vectors)]


def hooked(hook: Hook | None, name: str, value: Tensor) -> Tensor:
    """`value` (M, T, G, ...) as the hook, which sees it as (M, B, ...), leaves it."""
    return value if hook is None else hook(name, value.flatten(1, 2)).view_as(value)


def hooked_parts(hook: Hook | None, name: str, parts: list[Tensor], dim: int) -> list[Tensor]:
    """The same for a value in parts along `dim`, which the hook sees as one."""
    if hook is None:
        return parts
    sizes = [part.shape[dim] for part in parts]
    return list(hooked(hook, name, torch.cat(parts, dim=dim)).split(sizes, dim=dim))
