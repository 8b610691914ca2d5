"""A ReLU recurrent network written once for M independent members.

h_t = ReLU(x_t W_in + b_in + h_{t-1} W_rec + b_rec), h_0 = 1 and y = h W_out + b_out after the last
symbol (eq. 50 of the paper). The two biases of a unit are one in what they compute, but not under
SGD, which moves their sum twice as fast: the paper has both, and so have we.

Shapes: M members, B sequences, T symbols, H hidden units, K sequences of a tree (see
`sequences.py`), n parameters of a member.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from grokmodel.core import member
from grokmodel.core.member import Params
from grokmodel.parity.config import ParityShape

SYMBOLS = 2
OUTPUTS = 2


@dataclass(frozen=True)
class Layout(member.Layout):
    """Where each parameter of one member lies in its row of the weight matrix."""

    shape: ParityShape
    inside = ("rec",)

    @cached_property
    def entries(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one member's parameter, in storage order."""
        H = self.shape.hidden
        return {
            "in.w": (SYMBOLS, H),
            "in.b": (H,),
            "rec.w": (H, H),
            "rec.b": (H,),
            "out.w": (H, OUTPUTS),
            "out.b": (OUTPUTS,),
        }

    def init(self, seed: int, gain: float) -> Tensor:
        """Fresh weights of one member, (n,): Xavier-normal matrices, biases 0."""
        generator = torch.Generator().manual_seed(seed)
        row_n = torch.zeros(1, self.n)
        for p in self.views(row_n).values():
            if p.ndim == 3:
                spread = gain * math.sqrt(2.0 / (p.shape[1] + p.shape[2]))
                p.copy_(torch.randn(p.shape, generator=generator) * spread)
        return row_n[0]


def hidden_after(p: Params, symbols_MBT: Tensor, length_MB: Tensor | None = None) -> Tensor:
    """Hidden state after the last symbol of every sequence, (M, B, H).

    Args:
        symbols_MBT: 0 and 1; what lies beyond the end of a sequence is not looked at.
        length_MB: by default all sequences are T long.
    """
    drive_M2H = _drive(p)
    h = torch.ones_like(drive_M2H[:, :1]).expand(-1, symbols_MBT.shape[1], -1)
    for t in range(symbols_MBT.shape[2]):
        input_MBH = one_hot(symbols_MBT[:, :, t], drive_M2H.dtype) @ drive_M2H
        new = torch.baddbmm(input_MBH, h, p["rec.w"]).relu()
        h = new if length_MB is None else torch.where((length_MB > t)[..., None], new, h)
    return h


def hidden_of_tree(p: Params, max_length: int) -> Tensor:
    """Hidden states after all sequences up to a length, the empty one first: (M, K, H).

    Every state is computed once, from that of the sequence without its last symbol.
    """
    drive_M2H = _drive(p)
    level = torch.ones_like(drive_M2H[:, :1])
    levels = [level]
    for _ in range(max_length):
        pre = level @ p["rec.w"]
        level = (pre[:, :, None] + drive_M2H[:, None]).relu().flatten(1, 2)
        levels.append(level)
    return torch.cat(levels, dim=1)


def readout(p: Params, h: Tensor) -> Tensor:
    """Outputs (M, B, 2) of hidden states (M, B, H)."""
    return torch.baddbmm(p["out.b"][:, None], h, p["out.w"])


def one_hot(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """0 -> (1, 0) and 1 -> (0, 1): (..., 2). That of torch reads back what it is given."""
    return torch.stack([1 - bits, bits], dim=-1).to(dtype)


def _drive(p: Params) -> Tensor:
    """What each symbol adds before the ReLU, with both biases: (M, 2, H)."""
    return p["in.w"] + (p["in.b"] + p["rec.b"])[:, None]
