"""Fourier analysis of activations over the (a, b) grid: which frequencies does a hook point use?

Basis on Z_P, real and orthonormal: the constant, cos(2 pi k a / P) and sin(2 pi k a / P) for
k = 1 .. floor((P - 1) / 2) and, for even P, the Nyquist vector (-1)^a. The basis on the grid is the
outer products. FVE is the fraction of variance explained, the constant removed.

Shapes: G grids, P modulus, K frequencies, d features of the hook point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

DOMINANT_SHARE = 0.95
"""Dominant frequencies hold this share of the in-frequency power. With 0.9 a true one is lost: in a
published network modulo 113 the five have 0.56, 0.14, 0.13, 0.09 and 0.06, the next 0.004."""
RELATIVE_ZERO = 1e-12
"""In-frequency power below this share of the variance is rounding, not signal ..."""
CONSTANT = 100
"""... and so are deviations from the mean below this many units in the last place."""


@dataclass(frozen=True)
class Spectrum:
    """FVEs of one grid; fve_a, fve_b and fve_ab of all frequencies and `cross` sum to 1 (or 0)."""

    frequencies: np.ndarray
    """(K,) int: 1 .. floor(P / 2)."""
    fve_a: np.ndarray
    """(K,) share explained by functions of a at frequency k."""
    fve_b: np.ndarray
    """(K,) the same of b."""
    fve_ab: np.ndarray
    """(K,) share explained by the products of both at equal k."""
    cross: float
    """Share explained by products of unequal k."""

    @cached_property
    def fve(self) -> np.ndarray:
        """(K,) all that frequency k explains."""
        return self.fve_a + self.fve_b + self.fve_ab

    @cached_property
    def share(self) -> np.ndarray:
        """(K,) the same as a share of the in-frequency power; 0 if there is none."""
        power = self.fve
        total = power.sum()
        return power / total if total > RELATIVE_ZERO else np.zeros_like(power)

    @cached_property
    def leading(self) -> tuple[int, ...]:
        """All frequencies, the one that explains most first; () if none explains anything."""
        return tuple(self.frequencies[self._falling].tolist())

    @cached_property
    def dominant(self) -> tuple[int, ...]:
        """Smallest set with DOMINANT_SHARE of the in-frequency power, ascending, of any size."""
        reached = np.cumsum(self.share[self._falling]) >= DOMINANT_SHARE * (1 - 1e-12)
        return tuple(sorted(self.leading[: 1 + int(reached.argmax())])) if len(reached) else ()

    @cached_property
    def _falling(self) -> np.ndarray:
        """Where in `fve` each of `leading` is."""
        order = np.argsort(-self.fve, kind="stable")
        return order if self.fve.sum() > RELATIVE_ZERO else order[:0]

    @property
    def entropy(self) -> float:
        """Entropy of the FVEs over frequencies divided by ln K: 0 a single one, 1 all alike."""
        power = self.fve
        if len(power) < 2:
            return 0.0
        if power.sum() <= RELATIVE_ZERO:
            return 1.0
        return entropy(power)


def entropy(power: np.ndarray) -> float:
    """Entropy of the shares of a sum over ln of their number: 0 a single one, 1 all alike."""
    p = power[power > 0] / power.sum()
    return float(-(p * np.log(p)).sum() / np.log(len(power)))


@cache
def basis(P: int) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis (P, P), one vector per column, and the frequency (P,) of each column."""
    a = np.arange(P)
    columns, frequency = [np.full(P, P**-0.5)], [0]
    for k in range(1, (P - 1) // 2 + 1):
        angle = 2 * np.pi * k * a / P
        columns += [np.sqrt(2 / P) * np.cos(angle), np.sqrt(2 / P) * np.sin(angle)]
        frequency += [k, k]
    if P % 2 == 0:
        columns.append(P**-0.5 * (-1.0) ** a)
        frequency.append(P // 2)
    return np.stack(columns, axis=1), np.array(frequency)


def spectrum(grid: np.ndarray) -> Spectrum:
    """Spectrum of activations over all pairs.

    Args:
        grid: (P, P, d) or (P, P), indexed [a, b], finite, P >= 3.

    Raises:
        ValueError: not such an array.
    """
    grid = np.asarray(grid)
    grid = grid[..., None] if grid.ndim == 2 else grid
    return spectra_of_centered(centered(grid[None]))[0]


def spectra_of_centered(grids_GPPd: np.ndarray) -> list[Spectrum]:
    """Spectra of what `centered` returns."""
    P = grids_GPPd.shape[1]
    vectors, frequency = basis(P)
    of_a = (vectors.T @ grids_GPPd.reshape(len(grids_GPPd), P, -1)).reshape(grids_GPPd.shape)
    coefficient = vectors.T @ of_a  # over b, for every frequency of a
    power = np.square(coefficient).sum(-1)
    power[:, 0, 0] = 0.0  # the constant, zero but for rounding
    total = power.sum((1, 2), keepdims=True)
    share = power / np.where(total > 0, total, 1)
    is_k = frequency == np.arange(1, P // 2 + 1)[:, None]  # (K, P)
    fve_a, fve_b = ((is_k @ one[..., None])[..., 0] for one in (share[:, :, 0], share[:, 0]))
    fve_ab = ((is_k @ share) * is_k).sum(-1)  # both of frequency k
    unequal = (frequency[:, None] != frequency) & (frequency[:, None] > 0) & (frequency > 0)
    cross = np.ascontiguousarray(share[:, unequal]).sum(1).tolist()  # summed alike in any stack
    return [Spectrum(np.arange(1, P // 2 + 1), *each) for each in zip(fve_a, fve_b, fve_ab, cross)]


def centered(grids_GPPd: np.ndarray) -> np.ndarray:
    """Grids less their mean over all pairs, float64; those are 0 where that is but rounding.

    Raises:
        ValueError: as `spectrum`.
    """
    if grids_GPPd.ndim != 4 or not 3 <= grids_GPPd.shape[1] == grids_GPPd.shape[2]:
        raise ValueError(f"grid has shape {grids_GPPd.shape[1:]}; need (P, P, d) with P >= 3")
    precision = np.finfo(np.float32 if grids_GPPd.dtype == np.float32 else np.float64).eps
    grids = grids_GPPd.astype(np.float64)
    if not np.isfinite(grids).all():
        raise ValueError("grid has values that are not finite")
    out = grids - grids.mean((1, 2), keepdims=True)
    size, deviation = (np.abs(each).max((1, 2, 3), initial=0.0) for each in (grids, out))
    out[deviation <= CONSTANT * precision * size] = 0.0
    return out


def gini(power: np.ndarray) -> float:
    """Gini coefficient of non-negative numbers: 0 all alike, (K - 1) / K a single one."""
    ascending = np.sort(np.asarray(power, np.float64))
    K, total = len(ascending), ascending.sum()
    if total <= 0:
        return 0.0
    rank = np.arange(1, K + 1)
    return float(((2 * rank - K - 1) * ascending).sum() / (K * total))


def coefficients_of(n: int, frequencies: Sequence[int]) -> np.ndarray:
    """(n, n) bool: the coefficients that `spectrum` counts for these frequencies.

    Those of functions of a alone, of b alone, and of products of both at equal frequency.
    """
    _, frequency = basis(n)
    row, column = frequency[:, None], frequency[None, :]
    largest = np.maximum(row, column)
    counted = (row == column) | (row == 0) | (column == 0)
    return counted & np.isin(largest, list(frequencies)) & (largest > 0)


def rule_waves(n: int, k: int, sign: int) -> np.ndarray:
    """(w, n, n) cos and sin of 2 pi k (i + sign j) / n, orthonormal; w = 1 at Nyquist, else 2."""
    i = np.arange(n)
    angle = 2 * np.pi * k * (i[:, None] + sign * i) / n
    waves = [np.cos(angle)] if 2 * k == n else [np.cos(angle), np.sin(angle)]
    return np.stack([wave / np.linalg.norm(wave) for wave in waves])
