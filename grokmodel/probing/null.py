"""The null of a spectrum: is it more concentrated than with the classes in random order?

An activation over all (a, b) that knows its classes but not that they are a circle has a spectrum
too, and among few frequencies one is always strongest. So the same grid is taken with its classes
in random order, the same order on both axes, many times. Only the order of the classes makes a
frequency of them: what is left is chance.

Coefficients at equal frequencies k of a and b are those of a + b and a - b. So the power of a grid
there takes its sums over all pairs with the same a + b or a - b mod n, and their DFT: of one order
n^2 additions per feature, where the products of the basis on both axes take n^3.

Shapes: n order of the group, R random orders, K frequencies, G grids, c columns (features of all
grids side by side).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, one_hot

from grokmodel.probing.fourier import CONSTANT, Spectrum, centered, spectra_of_centered

ORDERS = 100
"""Random orders of the classes."""
CHANCE = 0.05
"""Largest p-value of key frequencies."""
KEY_AT_MOST = 0.5
"""Key frequencies are at most this share of all."""
ROUNDING = 1e-5
"""Shares of random orders are of float32: within this they count as equal."""
NUMBERS_AT_ONCE = 1_000_000
"""Numbers of grids that are worked on together, whose copies would fill the memory otherwise."""
COLUMNS_AT_ONCE = 128
"""Columns whose sums still fit into the cache of a CPU core."""


@dataclass(frozen=True)
class SpectrumWithNull(Spectrum):
    """A spectrum and its null."""

    null_RK: np.ndarray
    """(R, K) shares of the in-frequency power in each random order, the largest first."""
    null_q95: float
    """95 % quantile of the strongest frequency's share in random orders."""
    p_values: np.ndarray
    """(K,) for each frequency: is the strongest of a random order as strong?"""
    p_together: np.ndarray
    """(K,) for every number of them: do the strongest of a random order together hold as much?"""
    p_of_rest: np.ndarray
    """(K,) strongest first: is the next of a random order as large a part of what is left?"""

    @property
    def p_dominant(self) -> float:
        """Do as many frequencies of a random order together hold as much as the dominant ones?

        Of several frequencies of equal power none need be above the strongest of a random order
        (four of eleven have 0.25 each, chance has as much); together they are.
        """
        return float(self.p_together[len(self.dominant) - 1]) if self.dominant else 1.0

    @property
    def key_frequencies(self) -> tuple[int, ...]:
        """The dominant frequencies, if they are few, at most KEY_AT_MOST of all, and so few hold
        so much by chance in at most CHANCE of the random orders; otherwise ().

        Less the weakest of them that only fill up the sum: none has a larger part of what the
        stronger ones leave than chance gives it.
        """
        count = len(self.dominant)
        if count > KEY_AT_MOST * len(self.frequencies) or self.p_dominant > CHANCE:
            return ()
        while count and self.p_of_rest[count - 1] > CHANCE:
            count -= 1
        return tuple(sorted(self.leading[:count]))


def random_orders(n: int, *seed: int) -> np.ndarray:
    """(R, n) random orders of the elements of a group."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(n) for _ in range(ORDERS)])


def against_null(grids: Sequence[np.ndarray], orders_Rn: np.ndarray) -> list[SpectrumWithNull]:
    """Spectra of grids with their nulls, all at once.

    Args:
        grids: each (n, n, d), as `spectrum` takes it; d may differ.
    """
    stacks = _of_equal_width(grids)
    at_home = dict(pair for s in stacks for pair in zip(s.index, spectra_of_centered(s.grids)))
    spectra = [at_home[i] for i in range(len(grids))]
    power_RKG = _random_powers(stacks, orders_Rn)
    total_RG = power_RKG.sum(1)
    share_RKG = power_RKG / np.where(total_RG > 0, total_RG, 1)[:, None]
    null_RKG = -np.sort(-share_RKG, axis=1)
    share_KG = np.stack([s.share for s in spectra], axis=1)
    falling_KG = -np.sort(-share_KG, axis=0)
    p_values = _p_value(null_RKG[:, :1], share_KG)
    p_together = _p_value(null_RKG.cumsum(1), falling_KG.cumsum(0))
    p_of_rest = _p_value(_part_of_rest(null_RKG), _part_of_rest(falling_KG[None])[0])
    q95_G = np.quantile(null_RKG[:, 0], 0.95, axis=0).tolist()
    return [
        SpectrumWithNull(**_own(one), null_RK=null_RKG[..., i], null_q95=q95_G[i],
                         p_values=p_values[:, i], p_together=p_together[:, i],
                         p_of_rest=p_of_rest[:, i])
        for i, one in enumerate(spectra)
    ]  # fmt: skip


def _own(spectrum: Spectrum) -> dict[str, Any]:
    """The fields of a spectrum, without what it has worked out."""
    return {field.name: getattr(spectrum, field.name) for field in fields(spectrum)}


def _p_value(null_R: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(1 + random orders that have this value or more) / (1 + orders)."""
    return (1 + (null_R >= value - ROUNDING).sum(0)) / (1 + len(null_R))


def _part_of_rest(falling_RKG: np.ndarray) -> np.ndarray:
    """Share of each frequency in what it and all weaker ones hold."""
    rest_RKG = falling_RKG[:, ::-1].cumsum(1)[:, ::-1]
    return falling_RKG / np.maximum(rest_RKG, ROUNDING)


@dataclass(frozen=True)
class _Stack:
    """Grids of equal width, side by side: one call for all of them."""

    index: list[int]
    """Which of all grids each is."""
    grids: np.ndarray
    """(g, n, n, d) centered."""


def _of_equal_width(grids: Sequence[np.ndarray]) -> list[_Stack]:
    """The grids, those of equal width together: a call for each would take longer than what it
    works out, unless they are large."""
    grids = [grid[..., None] if grid.ndim == 2 else grid for grid in map(np.asarray, grids)]
    kinds: dict[Any, list[int]] = {}
    for i, grid in enumerate(grids):
        kinds.setdefault((grid.shape, grid.dtype), []).append(i)
    stacks = []
    for (shape, _), index in kinds.items():
        most = max(1, NUMBERS_AT_ONCE // max(1, math.prod(shape)))
        for start in range(0, len(index), most):
            part = index[start : start + most]
            stacks.append(_Stack(part, centered(np.stack([grids[i] for i in part]))))
    return stacks


def _random_powers(stacks: Sequence[_Stack], orders_Rn: np.ndarray) -> np.ndarray:
    """(R, K, G) power at each frequency of each grid in each random order, times n^2 / 2."""
    R, n = orders_Rn.shape
    orders = torch.from_numpy(orders_Rn)
    pairs = [torch.from_numpy(table) for table in _pairs_of_equal(orders_Rn)]
    waves, (of_sum, of_difference, of_one) = _waves(n)
    G = sum(len(stack.index) for stack in stacks)
    power = torch.zeros(R, n // 2, G)

    def add(sums_Rnc: Tensor, weight_K1: Tensor, grid_cG: Tensor) -> None:
        """Add up the DFT of some columns."""
        square = (waves @ sums_Rnc).square_() @ grid_cG
        power.add_(square.unflatten(1, (2, -1)).sum(1) * weight_K1)

    for one, grid_cG in _some_columns([_of_one_operand(stack) for stack in stacks], G):
        add(one[orders], of_one, grid_cG)
    for both, grid_cG in _some_columns([_of_both_operands(stack) for stack in stacks], G):
        for bags, weight_K1 in zip(pairs, (of_sum, of_difference), strict=True):
            sums = embedding_bag(bags, both.flatten(0, 1), mode="sum")
            add(sums.view(R, n, -1), weight_K1, grid_cG)
    return power.numpy().astype(np.float64)


Columns = tuple[np.ndarray, np.ndarray]
"""Features (..., c) of several grids side by side, and which grid (c,) each is of."""


def _some_columns(found: Sequence[Columns], G: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Columns of all grids side by side, some at a time, and (c, G) in which grid each is."""
    parts = zip(*found, strict=True)
    columns, grid_c = (torch.from_numpy(np.concatenate(part, axis=-1)) for part in parts)
    in_grid_cG = one_hot(grid_c, G).float()
    if len(grid_c):  # contiguous: of other layouts `embedding_bag` takes ten times as long
        some = columns.float().contiguous().split(COLUMNS_AT_ONCE, dim=-1)
        yield from zip(some, in_grid_cG.split(COLUMNS_AT_ONCE), strict=True)


def _of_one_operand(stack: _Stack) -> Columns:
    """(n, c) sums over b and over a. If that is more than n columns, n others with equal power."""
    sums_gnc = np.concatenate([stack.grids.sum(2), stack.grids.sum(1)], axis=-1)
    _, n, c = sums_gnc.shape
    if c > n:
        sums_gnc = np.asarray(np.linalg.qr(sums_gnc.swapaxes(1, 2), mode="r")).swapaxes(1, 2)
    columns = np.moveaxis(sums_gnc, 0, 1).reshape(n, -1)
    return columns, np.repeat(stack.index, sums_gnc.shape[-1])


def _of_both_operands(stack: _Stack) -> Columns:
    """(n, n, c) the columns that are more than a function of a plus one of b, as keys and values
    are not: of those all sums over the same a + b, or a - b, are equal."""
    grids = stack.grids
    rest = grids - grids.mean(1, keepdims=True) - grids.mean(2, keepdims=True)
    rounding = CONSTANT * np.finfo(np.float32).eps * np.abs(grids).max((1, 2, 3), initial=0.0)
    is_more_gd = np.abs(rest).max((1, 2), initial=0.0) > rounding[:, None]
    columns = np.moveaxis(grids, 0, 2)[..., is_more_gd]
    return columns, np.repeat(stack.index, is_more_gd.sum(1))


def _pairs_of_equal(orders_Rn: np.ndarray) -> list[np.ndarray]:
    """Two tables (R * n, n): which pairs a * n + b have the sum, or the difference, s in an order
    of the classes, for every order and s."""
    R, n = orders_Rn.shape
    i = np.arange(n)
    partners = ((i[:, None] - i) % n, (i - i[:, None]) % n)
    tables = (orders_Rn[:, None] * n + orders_Rn[:, j] for j in partners)
    return [table.reshape(R * n, n).astype(np.int32) for table in tables]


def _waves(n: int) -> tuple[Tensor, Tensor]:
    """(2K, n) cosines, then sines, and (3, K, 1) weights of what is a function of a + b, of a - b,
    of one operand: at the Nyquist frequency there is no sine, and a + b and a - b are the same."""
    K = n // 2
    angle = 2 * np.pi * np.outer(np.arange(1, K + 1), np.arange(n)) / n
    weight = torch.ones(3, K, 1)
    if n % 2 == 0:
        weight[:, -1, 0] = torch.tensor([0.5, 0.0, 0.5])
    return torch.from_numpy(np.concatenate([np.cos(angle), np.sin(angle)])).float(), weight
