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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from grokmodel.probing.fourier import CONSTANT, Spectrum, centered, spectrum_of_centered

ORDERS = 100
"""Random orders of the classes."""
CHANCE = 0.05
"""Largest p-value of key frequencies."""
KEY_AT_MOST = 0.5
"""Key frequencies are at most this share of all."""
ROUNDING = 1e-5
"""Shares of random orders are of float32: within this they count as equal."""
COLUMNS_AT_ONCE = 128
"""Columns whose sums still fit into the cache of a CPU core."""


@dataclass(frozen=True)
class SpectrumWithNull(Spectrum):
    """A spectrum and its null."""

    null_RK: np.ndarray
    """(R, K) shares of the in-frequency power in each random order, the largest first."""
    null_q95: float
    """95 % quantile of the strongest frequency's share in random orders."""

    @property
    def p_values(self) -> np.ndarray:
        """(K,) for each frequency: is the strongest of a random order as strong?"""
        return _p_value(self.null_RK[:, :1], self.share)

    @cached_property
    def p_dominant(self) -> float:
        """Do as many frequencies of a random order together hold as much as the dominant ones?

        Of several frequencies of equal power none need be above the strongest of a random order
        (four of eleven have 0.25 each, chance has as much); together they are.
        """
        count = len(self.dominant)
        return self._p(float(np.sort(self.share)[::-1][:count].sum()), count)

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
        while count and self._p_of_rest(count - 1) > CHANCE:
            count -= 1
        return tuple(sorted(self.leading[:count]))

    def _p(self, share: float, count: int) -> float:
        """Do the `count` strongest of a random order have this share or more?"""
        return float(_p_value(self.null_RK[:, :count].sum(1), share))

    def _p_of_rest(self, stronger: int) -> float:
        """Behind some stronger ones, is the next of a random order as large a part of the rest?"""
        share_1K = -np.sort(-self.share)[None]
        part_R, part_1 = (
            of[:, stronger] / np.maximum(of[:, stronger:].sum(1), ROUNDING)
            for of in (self.null_RK, share_1K)
        )
        return float(_p_value(part_R, part_1[0]))


def _p_value(null_R: np.ndarray, value: Any) -> Any:
    """(1 + random orders that have this value or more) / (1 + orders)."""
    return (1 + (null_R >= value - ROUNDING).sum(0)) / (1 + len(null_R))


def random_orders(n: int, *seed: int) -> np.ndarray:
    """(R, n) random orders of the elements of a group."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(n) for _ in range(ORDERS)])


def against_null(grids: Sequence[np.ndarray], orders_Rn: np.ndarray) -> list[SpectrumWithNull]:
    """Spectra of grids with their nulls, all at once.

    Args:
        grids: each (n, n, d), as `spectrum` takes it; d may differ.
    """
    grids = [centered(grid) for grid in grids]
    power_RKG = _random_powers(grids, orders_Rn)
    total_RG = power_RKG.sum(1)
    share_RKG = power_RKG / np.where(total_RG > 0, total_RG, 1)[:, None]
    null_RKG = -np.sort(-share_RKG, axis=1)
    q95_G = np.quantile(null_RKG[:, 0], 0.95, axis=0)
    return [
        SpectrumWithNull(
            **vars(spectrum_of_centered(grid)), null_RK=null_RKG[..., i], null_q95=float(q95_G[i])
        )
        for i, grid in enumerate(grids)
    ]


def _random_powers(grids: Sequence[np.ndarray], orders_Rn: np.ndarray) -> np.ndarray:
    """(R, K, G) power at each frequency of each grid in each random order, times n^2 / 2.

    Args:
        grids: centered, (n, n, d) each.
    """
    R, n = orders_Rn.shape
    orders = torch.from_numpy(orders_Rn)
    pairs = [torch.from_numpy(table) for table in _pairs_of_equal(orders_Rn)]
    waves, (of_sum, of_difference, of_one) = _waves(n)
    power = torch.zeros(R, n // 2, len(grids))

    def add(sums_Rnc: Tensor, weight_K1: Tensor, grid_cG: Tensor) -> None:
        """Add up the DFT of some columns."""
        square = (waves @ sums_Rnc).square_() @ grid_cG
        power.add_(square.unflatten(1, (2, -1)).sum(1) * weight_K1)

    for one, grid_cG in _some_columns([_of_one_operand(grid) for grid in grids]):
        add(one[orders], of_one, grid_cG)
    for both, grid_cG in _some_columns([_of_both_operands(grid) for grid in grids]):
        for bags, weight_K1 in zip(pairs, (of_sum, of_difference), strict=True):
            sums = embedding_bag(bags, both.flatten(0, 1), mode="sum")
            add(sums.view(R, n, -1), weight_K1, grid_cG)
    return power.numpy().astype(np.float64)


def _some_columns(grids: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
    """Columns of all grids side by side, some at a time, and (c, G) in which grid each is."""
    columns = torch.from_numpy(np.concatenate(grids, axis=-1)).float()
    widths = torch.tensor([grid.shape[-1] for grid in grids])
    in_grid_cG = torch.eye(len(grids)).repeat_interleave(widths, dim=0)
    if len(in_grid_cG):
        parts = (columns.split(COLUMNS_AT_ONCE, dim=-1), in_grid_cG.split(COLUMNS_AT_ONCE))
        yield from zip(*parts, strict=True)


def _of_one_operand(grid: np.ndarray) -> np.ndarray:
    """(n, c) sums over b and over a. If that is more than n columns, n others with equal power."""
    sums_nc = np.concatenate([grid.sum(1), grid.sum(0)], axis=-1)
    n, c = sums_nc.shape
    return np.asarray(np.linalg.qr(sums_nc.T, mode="r")).T if c > n else sums_nc


def _of_both_operands(grid: np.ndarray) -> np.ndarray:
    """(n, n, c) the columns that are more than a function of a plus one of b, as keys and values
    are not: of those all sums over the same a + b, or a - b, are equal."""
    rest = np.abs(grid - grid.mean(0) - grid.mean(1, keepdims=True)).max((0, 1), initial=0.0)
    rounding = CONSTANT * np.finfo(np.float32).eps * np.abs(grid).max(initial=0.0)
    return grid[..., rest > rounding]


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
