"""How complex the weights are: stable rank, spectral entropy, algorithmic complexity.

The block decomposition method (Zenil et al. 2018) estimates the length of the shortest program that
prints a matrix; weights are quantized to their sign about the median, so that the scale of a matrix
plays no part.

Shapes: M members, n parameters.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from grokmodel.core.member import Member
from grokmodel.probing.fourier import entropy

BLOCK = 4
"""Side of the blocks whose complexity is tabulated."""


@dataclass(frozen=True)
class ComplexityRow:
    """One weight matrix; meanings in the table `complexity`."""

    matrix: str
    rows: int
    columns: int
    stable_rank: float
    entropy: float
    bdm: float
    """NaN without pybdm."""
    norm: float


def complexity(member: Member[Any]) -> list[ComplexityRow]:
    """Rows of a member: every weight matrix of its averaged weights."""
    out = []
    for name, value in member.layout(member.config).views(member.state.average).items():
        if not name.endswith(".w"):
            continue
        weight = value[0].numpy().astype(np.float64)
        power = np.square(np.linalg.svd(weight, compute_uv=False))
        out.append(
            ComplexityRow(
                matrix=name.removesuffix(".w"),
                rows=weight.shape[0],
                columns=weight.shape[1],
                stable_rank=stable_rank(power),
                entropy=spectral_entropy(power),
                bdm=bdm(weight) / _in_blocks(weight.shape),
                norm=float(np.linalg.norm(weight)),
            )
        )
    return out


def stable_rank(power: np.ndarray) -> float:
    """|W|_F^2 / |W|_2^2 from the squared singular values: 1 to the rank; 0 for no weights."""
    return float(power.sum() / power.max()) if power.max() > 0 else 0.0


def spectral_entropy(power: np.ndarray) -> float:
    """Entropy of the squared singular values over ln of their number: 0 one value, 1 all alike."""
    if power.sum() == 0 or len(power) < 2:
        return 0.0
    return entropy(power)


def _in_blocks(shape: tuple[int, ...]) -> int:
    """Weights that `bdm` counts, at least 1."""
    return max(1, math.prod(size // BLOCK * BLOCK for size in shape))


def bdm(weight: np.ndarray) -> float:
    """Bits of the matrix of signs about the median; what does not fill a block is left out.

    NaN if there is no block, or no pybdm to look its complexity up. The sum over distinct blocks of
    their algorithmic complexity and log2 of how often they occur.
    """
    rows, columns = (size // BLOCK for size in weight.shape)
    if not rows or not columns or not has_bdm():
        return float("nan")
    signs = (weight > np.median(weight))[: rows * BLOCK, : columns * BLOCK]
    blocks = signs.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK**2)
    codes, counts = np.unique(blocks @ (1 << np.arange(BLOCK**2)), return_counts=True)
    return float(sum(map(_block_complexity, codes.tolist())) + np.log2(counts).sum())


def has_bdm() -> bool:
    """Is the optional package there that has the table of complexities?"""
    return find_spec("pybdm") is not None


@cache
def _block_complexity(code: int) -> float:
    """Tabulated complexity of one block, looked up once per process."""
    bits = (code >> np.arange(BLOCK**2)) & 1
    ((_, value),) = _method().lookup([bits.reshape(BLOCK, BLOCK)])
    return float(value)


@cache
def _method() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        from pybdm import BDM  # its tables take a while to load, and only this needs them

    return BDM(ndim=2)
