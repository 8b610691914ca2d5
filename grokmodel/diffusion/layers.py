"""Layers that have no shape of their own: linear maps of M members, modulation, features of time.

Shapes: M members, T noise levels, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(p: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """x (M, ..., in) times the member's own matrix, plus its bias if it has one: (M, ..., out)."""
    w, b = p[f"{name}.w"], p.get(f"{name}.b")
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    out = torch.bmm(flat, w) if b is None else torch.baddbmm(b[:, None, :], flat, w)
    return out.view(*x.shape[:-1], w.shape[-1])


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return torch.addcmul(shift, x, scale)


def norm(x: Tensor, on: bool = True) -> Tensor:
    """LayerNorm without weights of its own, or nothing."""
    return F.layer_norm(x, x.shape[-1:]) if on else x


def time_features(t_MT: Tensor, width: int) -> Tensor:
    """Sinusoids of 1000 t as in DiT, (M, T, D)."""
    half = width // 2
    index = torch.arange(half, device=t_MT.device, dtype=t_MT.dtype)
    angle = 1000.0 * t_MT[..., None] * torch.exp(index * (-math.log(10_000.0) / half))
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
