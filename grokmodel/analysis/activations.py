"""Activations of trained members at every site over the whole (a, b) grid.

Shapes: M members, P modulus, H heads, d features of a site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel import flow, noise
from grokmodel.config import PackShape
from grokmodel.model import Sites, denoise
from grokmodel.pack import Banks, Member, Pack
from grokmodel.task import result_table

NO_HEAD = -1
DRAWS = 4
"""Draws of images and noise that a grid is the mean of."""


@dataclass(frozen=True)
class Grid:
    """Mean activation of one site of one member."""

    site: str
    head: int
    """Attention head, or NO_HEAD."""
    values: np.ndarray
    """(P, P, d) indexed [a, b]."""


@torch.no_grad()
def collect(
    members: Sequence[Member], banks: Banks, device: torch.device, t: float
) -> list[list[Grid]]:
    """Grids of every site of the averaged weights at noise level `t`, one list a member.

    Args:
        members: of one PackShape and one P.
    """
    pack = Pack(members, banks, device)
    P = members[0].config.P
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P)).to(device)
    results = [torch.from_numpy(result_table(m.config.op, P).reshape(-1)) for m in members]
    c_MQ = torch.stack(results).to(device).clamp(min=0)
    triplet_MQ3 = torch.cat([pairs.expand(len(members), -1, 2), c_MQ[..., None]], dim=-1)
    params = pack.layout.views(pack.state.average)
    mean: Sites = {}
    for draw in range(DRAWS):
        draw_M = torch.full_like(pack.state.step, draw)
        image_MQ3 = pack.draw_images(triplet_MQ3, noise.SITE_IMAGE, draw_M)
        x0_MQCX = pack.images[image_MQ3[..., 2]]
        rows, columns = triplet_MQ3.shape[1], x0_MQCX[0, 0].numel()
        eps = noise.normal(pack.seed_M, noise.SITE_NOISE, draw_M, rows, columns)
        t_M1 = torch.full((len(members), 1), float(t), device=device)
        x_t = flow.interpolate(x0_MQCX.flatten(2), eps, t_M1).view_as(x0_MQCX)
        sites: Sites = {}
        denoise(
            params, pack.shape, pack.embed_operands(params, image_MQ3[..., :2]), x_t, t_M1, sites
        )
        for name, value in sites.items():
            mean[name] = mean.get(name, 0.0) + value / DRAWS
    return [_grids(mean, pack.shape, i, P) for i in range(len(members))]


def _grids(sites: Sites, shape: PackShape, i: int, P: int) -> list[Grid]:
    """The sites of member i, split by head and by the operand that they look at."""
    C = shape.tokens_per_image
    operands = {"a": slice(0, C), "b": slice(C, 2 * C)}
    out: list[Grid] = []

    def add(site: str, value_Q: Tensor, head: int = NO_HEAD) -> None:
        out.append(Grid(site, head, value_Q.reshape(P, P, -1).cpu().numpy()))

    for name, value in sites.items():
        value_Q = value[i]  # (Q, ...)
        kind = name.rsplit(".", 1)[-1]
        if kind in ("key", "value"):  # (Q, L, H, E)
            for operand, tokens in operands.items():
                for head in range(shape.heads):
                    add(f"{name}[{operand}]", value_Q[:, tokens, head], head)
        elif kind in ("score", "weighted_value"):  # (Q, rows, L, H[, E])
            for operand, tokens in operands.items():
                for head in range(shape.heads):
                    add(f"{name}[{operand}]", value_Q[:, -C:, tokens, head], head)
        elif kind == "query":
            for head in range(shape.heads):
                add(name, value_Q[:, -C:, head], head)
        elif kind == "embedding":
            for operand, tokens in operands.items():
                add(f"{name}[{operand}]", value_Q[:, tokens])
        elif kind in ("attention", "pre", "post", "output"):
            add(name, value_Q[:, -C:])
    return out
