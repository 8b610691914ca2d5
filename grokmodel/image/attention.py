"""Attention of the result's tokens over those of the operands and their own, in two exact ways.

`attend` computes keys and values of every token, as everybody does; analyses look at those. While
training, `attend_to_table` never does: a key serves only to be multiplied with a query and a value
only to be averaged, so the key matrix is applied to the queries and the value matrix to the average
(few queries, many tokens). What is left to be done with the operands is a product with the table of
their distinct images, which is small and shared by all rows.

No bias is added to keys: softmax does not see it.

Shapes: M members, H heads, E = D / H, T noise levels, G rows that share a level, C tokens per
image, R = G * C queries of a level, L tokens seen by a query, S = 2 K C tokens of a table of K
images.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from grokmodel.core.member import Hook, Params
from grokmodel.diffusion.layers import linear, norm
from grokmodel.image.layers import embed, hooked, hooked_parts
from grokmodel.image.shape import PackShape

FEW_TOKENS = 16
"""Scores a row up to which a product and a sum beat a batched matmul of tiny matrices by far."""


@dataclass(frozen=True)
class ImageTable:
    """The operands of a batch as distinct images and which of them each row shows."""

    images: Tensor
    """(M, K, C, X) tokens of the distinct images of each member, padded to K."""
    rows: Tensor
    """(M, B, 2) which of them are a and b."""

    @property
    def tokens_an_operand(self) -> int:
        """K * C."""
        return self.images.shape[1] * self.images.shape[2]

    def embedded(self, p: Params) -> Tensor:
        """Embedded tokens of both operands of every row, (M, B, 2C, D), without position."""
        table = embed(p, self.images)
        return _GatherRows.apply(table, self.rows.flatten(1)).view(
            *self.rows.shape[:2], -1, table.shape[-1]
        )

    def tokens(self, p: Params, pre_norm: bool) -> Tensor:
        """Every image as an a and as a b, embedded and with position: (M, S, D)."""
        C = self.images.shape[2]
        position = p["position"][:, : 2 * C].unflatten(1, (2, 1, C))
        table = embed(p, self.images)[:, None] + position
        return norm(table.flatten(1, 3), pre_norm)

    def columns(self) -> Tensor:
        """Which of `tokens` each row sees: (M, B, 2C)."""
        _, K, C, _ = self.images.shape
        device = self.rows.device
        as_operand = self.rows + K * torch.arange(2, device=device)
        return (as_operand[..., None] * C + torch.arange(C, device=device)).flatten(2)


class _GatherRows(torch.autograd.Function):
    """table (M, K, ...), row (M, B) -> (M, B, ...). The gradient is summed by a matrix product:
    index_add does it in an order that changes from run to run on a GPU."""

    @staticmethod
    def forward(ctx, table, row_MB):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(row_MB)
        ctx.K = table.shape[1]
        M, B = row_MB.shape
        start_M = table.shape[1] * torch.arange(M, device=table.device)
        flat = (row_MB + start_M[:, None]).flatten()
        return table.flatten(0, 1).index_select(0, flat).view(M, B, *table.shape[2:])

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (row_MB,) = ctx.saved_tensors
        one_hot_MKB = row_MB[:, None] == torch.arange(ctx.K, device=grad.device)[:, None]
        summed = torch.bmm(one_hot_MKB.to(grad.dtype), grad.flatten(2))
        return summed.view(len(grad), ctx.K, *grad.shape[2:]), None


def attend(
    p: Params, name: str, shape: PackShape, parts: list[Tensor], hook: Hook | None
) -> Tensor:
    """Attention of the last part's tokens over the tokens of all parts: (M, T, G, rows, D).

    The parts are never copied into one tensor; only their scores are, and what a hook looks at.
    """
    H, E = shape.heads, shape.width // shape.heads
    q = norm(linear(p, f"{name}.query", parts[-1]).unflatten(-1, (H, E)), shape.qk_norm)
    q = hooked(hook, f"{name}.query", q)
    keys = [norm(linear(p, f"{name}.key", x).unflatten(-1, (H, E)), shape.qk_norm) for x in parts]
    keys = hooked_parts(hook, f"{name}.key", keys, -3)
    if shape.position == "rotary":
        starts = itertools.accumulate((k.shape[-3] for k in keys[:-1]), initial=0)
        keys = [rotated(k, start) for k, start in zip(keys, starts, strict=True)]
        q = rotated(q, 3 * shape.tokens_per_image - q.shape[-3])
    values = [linear(p, f"{name}.value", x).unflatten(-1, (H, E)) for x in parts]
    values = hooked_parts(hook, f"{name}.value", values, -3)
    score = torch.cat([_scores(q, k) for k in keys], dim=-2) / math.sqrt(E)  # (..., rows, L, H)
    weight = _softmax(hooked(hook, f"{name}.score", score), dim=-2)
    if hook is None:
        weights = weight.split([v.shape[-3] for v in values], dim=-2)
        mixed = torch.stack([_mix(w, v) for w, v in zip(weights, values, strict=True)]).sum(0)
    else:
        weight = hooked(hook, f"{name}.weight", weight)
        weighted = weight[..., None] * torch.cat(values, dim=-3)[..., None, :, :, :]
        mixed = hooked(hook, f"{name}.weighted_value", weighted).sum(-3)
    mixed = hooked(hook, f"{name}.head_output", mixed)
    return hooked(hook, f"{name}.attention", linear(p, f"{name}.out", mixed.flatten(-2)))


def rotated(x: Tensor, start: int) -> Tensor:
    """Queries or keys (..., L, H, E) with rotary positions start, start + 1, ...: numbers i and
    i + E / 2 turn by the angle position / 10,000^(2i / E), so a score depends on the difference of
    two positions. Source: Su et al., "RoFormer" (arXiv 2104.09864)."""
    *_, L, _, E = x.shape
    half = E // 2
    index = torch.arange(half, device=x.device, dtype=torch.float64)
    position = torch.arange(start, start + L, device=x.device, dtype=torch.float64)
    angle = (position[:, None] * 10_000.0 ** (-index / half))[:, None]  # (L, 1, half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second, rest = x.split([half, half, E - 2 * half], dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)


def _softmax(score: Tensor, dim: int) -> Tensor:
    return score.softmax(dim, dtype=torch.promote_types(score.dtype, torch.float32)).to(score.dtype)


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


def attend_to_table(
    p: Params,
    name: str,
    shape: PackShape,
    table: ImageTable,
    own: Tensor,
    shift: Tensor,
    scale: Tensor,
) -> Tensor:
    """The same as `attend` where operand tokens come from a table and no block stands before.

    Args:
        own: tokens of the result, (M, T, G, C, D), normed as the block wants but not modulated.
        shift, scale: the block's adaLN vectors, (M, T, 1, 1, D).

    Every token x is seen as scale * x + shift. Scores need the scale alone, as the shift adds the
    same to all of them; weights add up to 1, so the average of what is seen is scale * average +
    shift.
    """
    H, E = shape.heads, shape.width // shape.heads
    M, T, G, C, D = own.shape
    # queries, as everybody computes them
    q = linear(p, f"{name}.query", torch.addcmul(shift, own, scale))  # (M, T, G, C, D)
    q = q.view(M, -1, H, E).transpose(1, 2)  # (M, H, rows, E)
    # q . (W_k x) = (W_k^T q) . x: the key matrix is applied to the few queries, and so are the
    # adaLN scale and the 1 / sqrt(E) that all scores of a query share
    key = p[f"{name}.key.w"].view(M, D, H, E).permute(0, 2, 3, 1)  # (M, H, E, D)
    asked = (q @ key).view(M, H, T, G * C, D) * (scale[:, None, :, 0] / math.sqrt(E))
    # scores of every query with every token of the table; a row looks only at its own columns
    tokens = table.tokens(p, shape.norm == "pre")  # (M, S, D)
    column = table.columns()[:, None, :, None].expand(-1, H, -1, C, -1).reshape(M, H, T * G * C, -1)
    on_table = asked.flatten(1, 3) @ tokens.transpose(1, 2)
    on_table = on_table.view(M, H, -1, tokens.shape[1])
    # scores with the result's own tokens, which no table holds
    own_R = own.view(M, 1, T * G, C, D)
    asked_R = asked.view(M, H, T * G, C, D)
    on_own = _dot(asked_R, own_R).view(M, H, -1, C)
    weight = _softmax(torch.cat([on_table.gather(-1, column), on_own], dim=-1), dim=-1)
    of_table, of_own = weight.split([2 * C, C], dim=-1)  # (M, H, rows, ...)
    # the average over operand tokens: weights go back to their columns, the rest of the table has
    # weight 0, and one product with the table does all rows
    spread = torch.zeros_like(on_table).scatter(-1, column, of_table)
    mixed = torch.bmm(spread.flatten(1, 2), tokens).view(M, H, T * G, C, D)
    mixed = mixed + _average(of_own.view(M, H, T * G, C, C), own_R)
    # weights add up to 1, so the modulation of the average is the average of the modulated
    mixed = mixed.view(M, H, T, G * C, D) * scale[:, None, :, 0] + shift[:, None, :, 0]
    # values are linear too: their matrix is applied to the average, once per query
    value = p[f"{name}.value.w"].view(M, D, H, E).transpose(1, 2)  # (M, H, D, E)
    out = mixed.view(M, H, -1, D) @ value
    out = out.transpose(1, 2).reshape(M, T, G, C, D) + p[f"{name}.value.b"][:, None, None, None]
    return linear(p, f"{name}.out", out)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(..., q, D) and (..., k, D) -> (..., q, k)."""
    if a.shape[-2] == 1:
        return (a * b).sum(-1, keepdim=True)
    return a @ b.transpose(-1, -2)


def _average(weight: Tensor, x: Tensor) -> Tensor:
    """(..., q, k) and (..., k, D) -> (..., q, D)."""
    return weight * x if x.shape[-2] == 1 else weight @ x
