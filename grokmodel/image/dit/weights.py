"""The weights of one trial under the names of a `DiT`, from its flat row in a checkpoint.

Shapes: n parameters of a member.
"""

from __future__ import annotations

import re

from torch import Tensor

from grokmodel.image.model import Layout
from grokmodel.image.shape import PackShape

RENAMED = (
    (r"\.mod$", ".adaln.linear"),
    (r"\.(query|key|value)$", r".attention.to_\1"),
    (r"\.out$", ".attention.out"),
    (r"^time_out$", "time.out"),
    (r"^(time|final)$", r"\1.linear"),
)
"""Layer of `Layout` -> layer of a `DiT`, where they differ: there hook points have the short
names."""
KINDS = {"w": "weight", "b": "bias"}


def named_weights(shape: PackShape, row_n: Tensor) -> dict[str, Tensor]:
    """Parameters of a `DiT` by name, as torch.nn keeps them: matrices are (out, in).

    Args:
        row_n: weights, or their average, in the order of `Layout`.
    """
    views = Layout(shape).views(row_n[None])
    return {parameter_name(name): _stored(name, view[0]) for name, view in views.items()}


def parameter_name(entry: str) -> str:
    """Name in a `DiT` of an entry of `Layout`: `block0.query.w` is
    `block0.attention.to_query.weight`."""
    layer, dot, kind = entry.rpartition(".")
    if not dot:
        return entry
    for pattern, name in RENAMED:
        layer = re.sub(pattern, name, layer)
    return f"{layer}.{KINDS[kind]}"


def _stored(entry: str, value: Tensor) -> Tensor:
    """A copy; `Layout` keeps matrices as (in, out)."""
    return (value.T if entry.endswith(".w") else value).contiguous().clone()
