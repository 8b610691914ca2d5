"""The one-layer transformer of Nanda et al. 2023 (arXiv 2301.05217) for M independent members.

The sequence is a, b, "="; token P stands for "=". One block without LayerNorm: attention without
biases, then an MLP, each added to the residual stream; then the unembedding to P logits, since "="
is never an answer. Only the logits at "=" are read. It stands last, so that the causal mask hides
nothing from it, and what the other two tokens become is not needed.

A pair is seen through tables, which is exact: the query of "=" is the same for all pairs, and keys
and values depend on token and position alone. So scores and values are worked out once per token,
and the attention of a pair is a softmax of three numbers per head over rows of those tables.

Every weight has a leading member axis and every product is a batched matrix product.

Shapes: M members, Q pairs, P symbols, D width, H heads, E = D / H, F hidden units of the MLP,
T = 3 tokens of a pair, n parameters of a member.
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
from grokmodel.tokens.config import TokensShape

HOOK_POINTS = (
    "embedding", "block0.score", "block0.weight", "block0.head_output", "block0.attention",
    "block0.ffn.pre", "block0.ffn.post", "output",
)  # fmt: skip
"""In the order of the forward pass."""


@dataclass(frozen=True)
class Layout(member.Layout):
    """Where each parameter of one member lies in its row of the weight matrix."""

    shape: TokensShape

    @cached_property
    def entries(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one member's parameter, in storage order; matrices are (in, out)."""
        P, D, hidden = self.shape.P, self.shape.width, self.shape.ffn
        return {
            "embed.w": (P + 1, D),
            "position": (3, D),
            **{f"block0.{name}.w": (D, D) for name in ("query", "key", "value", "out")},
            "block0.ffn.up.w": (D, hidden),
            "block0.ffn.up.b": (hidden,),
            "block0.ffn.down.w": (hidden, D),
            "block0.ffn.down.b": (D,),
            "unembed.w": (D, P),
        }

    def init(self, seed: int, scale: float) -> Tensor:
        """Fresh weights of one member, (n,), as in the paper's code: N(0, scale^2 / D), the
        unembedding N(0, scale^2 / (P + 1)), biases 0."""
        generator = torch.Generator().manual_seed(seed)
        row_n = torch.zeros(1, self.n)
        for name, p in self.views(row_n).items():
            if not name.endswith(".b"):
                inverse = self.shape.P + 1 if name == "unembed.w" else self.shape.width
                spread = scale / math.sqrt(inverse)
                p.copy_(torch.randn(p.shape, generator=generator) * spread)
        return row_n[0]


def forward(
    p: Params, shape: TokensShape, a_MQ: Tensor, b_MQ: Tensor, hook: Hook | None = None
) -> Tensor:
    """Logits (M, Q, P) at "=" of every pair (a, b), in the data type of the weights.

    Args:
        a_MQ: int64 symbols from 0 to P - 1.
        hook: sees, and may replace, what goes on for each pair, at HOOK_POINTS: `embedding`
            (M, Q, T, D), with position; `score` and, after the softmax, `weight` (M, Q, T, H);
            `head_output` (M, Q, H, E), before the output projection; `attention` (M, Q, D);
            `ffn.pre` and `ffn.post` (M, Q, F); `output`, the logits. With a hook every pair goes
            its own way through all weights, which is slower.
    """
    if hook is not None:
        return _hooked(p, shape, a_MQ, b_MQ, hook)
    last_M1D = (p["embed.w"][:, -1] + p["position"][:, 2])[:, None]
    mixed_MQD = _attend(p, shape, last_M1D, a_MQ, b_MQ)
    return _read(p, shape, last_M1D, mixed_MQD)


def _attend(p: Params, shape: TokensShape, last_M1D: Tensor, a_MQ: Tensor, b_MQ: Tensor) -> Tensor:
    """What the heads of "=" bring, side by side, before the output projection: (M, Q, D).

    All is taken relative to "=": a softmax does not see what is added to all scores, and its
    weights add up to 1, so that the value of "=" itself is just added.
    """
    H = shape.heads
    query_MHE1 = (last_M1D @ p["block0.query.w"]).view(len(last_M1D), H, -1, 1)
    key_MHDE = p["block0.key.w"].unflatten(2, (H, -1)).transpose(1, 2)
    asked_MDH = (key_MHDE @ query_MHE1).squeeze(-1).mT / math.sqrt(shape.width // H)
    symbols_MPD = p["embed.w"][:, :-1] - last_M1D
    scores, values = [], []
    for i, index_MQ in enumerate((a_MQ, b_MQ)):
        apart_MPD = symbols_MPD + p["position"][:, i : i + 1]
        scores.append(_rows(apart_MPD @ asked_MDH, index_MQ))
        values.append(_rows(apart_MPD @ p["block0.value.w"], index_MQ).unflatten(2, (H, -1)))
    score_MQTH = torch.stack([*scores, torch.zeros_like(scores[0])], dim=2)
    of_a, of_b, _ = score_MQTH.softmax(dim=2)[..., None].unbind(2)
    own_M1HE = (last_M1D @ p["block0.value.w"]).unflatten(2, (H, -1))
    mixed_MQHE = torch.addcmul(torch.addcmul(own_M1HE, of_a, values[0]), of_b, values[1])
    return mixed_MQHE.flatten(2)


def _rows(table_MPX: Tensor, index_MQ: Tensor) -> Tensor:
    """Rows of each member's own table: (M, Q, X)."""
    M, P, _ = table_MPX.shape
    first_M1 = P * torch.arange(M, device=index_MQ.device)[:, None]
    # the gradient of an embedding is summed in a fixed order, and faster than that of `gather`
    return F.embedding(index_MQ + first_M1, table_MPX.flatten(0, 1))


def _read(p: Params, shape: TokensShape, last_M1D: Tensor, mixed_MQD: Tensor) -> Tensor:
    """Logits from what the heads bring."""
    residual = torch.baddbmm(last_M1D, mixed_MQD, p["block0.out.w"])
    pre = torch.baddbmm(p["block0.ffn.up.b"][:, None], residual, p["block0.ffn.up.w"])
    post = torch.relu_(pre) if shape.activation == "relu" else F.gelu(pre)
    bias_M1D = p["block0.ffn.down.b"][:, None]
    residual = residual + torch.baddbmm(bias_M1D, post, p["block0.ffn.down.w"])
    return torch.bmm(residual, p["unembed.w"])


def _hooked(p: Params, shape: TokensShape, a_MQ: Tensor, b_MQ: Tensor, hook: Hook) -> Tensor:
    """The same, every pair by itself."""
    rows = [_rows(p["embed.w"], t) for t in (a_MQ, b_MQ, torch.full_like(a_MQ, shape.P))]
    x_MQTD = torch.stack(rows, dim=2) + p["position"][:, None]
    x_MQTD = hook("embedding", x_MQTD)

    def heads(x: Tensor, name: str) -> Tensor:
        return torch.einsum("m...d,mde->m...e", x, p[name]).unflatten(-1, (shape.heads, -1))

    last_MQD = x_MQTD[:, :, 2]
    query_MQHE, key_MQTHE = heads(last_MQD, "block0.query.w"), heads(x_MQTD, "block0.key.w")
    score_MQTH = (query_MQHE[:, :, None] * key_MQTHE).sum(-1) / math.sqrt(query_MQHE.shape[-1])
    weight_MQTH = hook("block0.weight", hook("block0.score", score_MQTH).softmax(dim=2))
    mixed_MQHE = (weight_MQTH[..., None] * heads(x_MQTD, "block0.value.w")).sum(2)
    mixed_MQD = hook("block0.head_output", mixed_MQHE).flatten(2)
    residual = last_MQD + hook("block0.attention", mixed_MQD @ p["block0.out.w"])
    pre = hook("block0.ffn.pre", residual @ p["block0.ffn.up.w"] + p["block0.ffn.up.b"][:, None])
    post = hook("block0.ffn.post", torch.relu(pre) if shape.activation == "relu" else F.gelu(pre))
    residual = residual + post @ p["block0.ffn.down.w"] + p["block0.ffn.down.b"][:, None]
    return hook("output", residual @ p["unembed.w"])
