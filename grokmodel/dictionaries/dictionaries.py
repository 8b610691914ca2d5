"""Do sparse autoencoders find the frequencies that a model computes with?

The neurons that write the answer, over all pairs at t = 1, are taken apart by TopK and by
archetypal autoencoders of several seeds. Two questions: do the seeds find the same atoms (else a
dictionary says as much of its seed as of the model), and what is the code of an atom over (a, b) a
function of: one frequency of a + b, one result? Controls: random data in place of atoms for the
first, the neurons as they are and the classes in random order for the second.

Shapes: M members, n order of the group, F features, R autoencoders, K atoms, Q pairs, d neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grokmodel.dictionaries import sae
from grokmodel.probing.activations import grid_of, mean_activations
from grokmodel.probing.fourier import centered
from grokmodel.probing.hooks import last_ffn
from grokmodel.probing.probe import Probe

T = 1.0
SEEDS = (0, 1, 2)
TOPK, ARCHETYPAL, REORDERED = "topk", "archetypal", "archetypal_reordered"
NEURONS, DATA = "neurons", "data"
"""No dictionary: the neurons as they are; as many random data as there are atoms."""
OWN = 0.5
"""Share of its variance from which a feature counts as one of a frequency, or of a result."""
NAN = float("nan")


@dataclass(frozen=True)
class DictionaryRow:
    """One dictionary; meanings in the table `dictionaries`."""

    hook: str
    dictionary: str
    seed: int
    features: int
    explained: float
    stability: float
    rule_fve: float
    frequency_fve: float
    null_q95: float
    one_frequency: float
    result_fve: float
    one_result: float


def dictionaries(probe: Probe) -> list[list[DictionaryRow]]:
    """Rows of every member.

    Args:
        probe: over the whole grid of pairs.
    """
    point = last_ffn(probe.shape)
    seen = mean_activations(probe, T, [point.name])[point.name]
    out = []
    for i in range(len(probe)):
        grid = probe.order.arrange(grid_of(probe, seen, i, point))
        rows = _of_grid(grid, probe.order.sign, probe.random_orders[i])
        out.append([DictionaryRow(point.label, *row) for row in rows])
    return out


def _of_grid(grid: np.ndarray, sign: int, orders_Rn: np.ndarray) -> list[tuple[Any, ...]]:
    """Rows of one activation (n, n, d), less its name."""
    n = len(grid)
    x_Qd = sae.scaled(torch.from_numpy(grid).flatten(0, 1))
    rows: list[tuple[Any, ...]] = []
    for name, kind, reorder in (
        (TOPK, sae.TOPK, False),
        (ARCHETYPAL, sae.ARCHETYPAL, False),
        (REORDERED, sae.ARCHETYPAL, True),
    ):
        found = sae.fit(x_Qd, kind, SEEDS, reorder)
        alive = (found.codes_RQK > 0).any(1)
        atoms = [a_Kd[on] for a_Kd, on in zip(found.atoms_RKd, alive, strict=True)]
        similar = stability(atoms)
        for r, explained in enumerate(found.explained(x_Qd).tolist()):
            codes = found.codes_RQK[r][:, alive[r]].unflatten(0, (n, n)).numpy()
            of_codes = _what_of(codes, sign, orders_Rn)
            rows.append((name, SEEDS[r], codes.shape[2], explained, similar[r], *of_codes))
    of_neurons = _what_of(grid, sign, orders_Rn)
    rows.append((NEURONS, 0, grid.shape[2], NAN, NAN, *of_neurons))
    rngs = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    some = [x_Qd[torch.randperm(len(x_Qd), generator=rng)[: sae.ATOMS]] for rng in rngs]
    nothing = (NAN,) * len(of_neurons)
    rows += [
        (DATA, s, len(x), NAN, same, *nothing) for s, x, same in zip(SEEDS, some, stability(some))
    ]
    return rows


def stability(atoms: Sequence[Tensor]) -> list[float]:
    """For each dictionary (K, d), the mean over its atoms of the cosine with the nearest atom of
    another one, mean over the others: 1 if every seed finds the same."""
    units = [torch.nn.functional.normalize(a_Kd, dim=-1) for a_Kd in atoms]
    return [
        float(np.mean([float((u @ v.T).amax(1).mean()) for v in units if v is not u]))
        if all(map(len, units)) else NAN
        for u in units
    ]  # fmt: skip


def _what_of(grid: np.ndarray, sign: int, orders_Rn: np.ndarray) -> tuple[float, ...]:
    """Over features (n, n, F): medians of the shares of variance that the result explains, its best
    frequency, that in 95 % of random orders, one result; how many are of one frequency, of one
    result."""
    if not sign or not grid.shape[2]:
        return (NAN,) * 6
    rule_F, frequency_F, result_F = shares(grid, sign)
    null_RF = np.stack([shares(grid[np.ix_(order, order)], sign)[1] for order in orders_Rn])
    q95_F = np.quantile(null_RF, 0.95, axis=0)
    is_wave_F = (frequency_F >= OWN) & (frequency_F > q95_F)
    medians = (float(np.median(v)) for v in (rule_F, frequency_F, q95_F))
    of_result = float(np.median(result_F)), float((result_F >= OWN).mean())
    return (*medians, float(is_wave_F.mean()), *of_result)


def shares(grid: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(F,) each: shares of the variance of features (n, n, F) over pairs (i, j) that are explained
    by i + sign j mod n, by one frequency of it at best, and by one value of it at best."""
    (grid,) = centered(grid[None])
    n = len(grid)
    i = np.arange(n)
    j = (sign * (i[:, None] - i)) % n  # of the pairs (i, j) with result s, [s, i]
    sums_nF = grid[i, j].sum(1)
    total_F = np.square(grid).sum((0, 1))
    total_F = np.where(total_F > 0, total_F, np.inf)
    power_KF = np.square(np.abs(np.fft.rfft(sums_nF, axis=0)))[1:] * 2 / n**2
    if n % 2 == 0:
        power_KF[-1] /= 2
    of_result_nF = np.square(sums_nF) / (n - 1)
    found = (np.square(sums_nF).sum(0) / n, power_KF.max(0), of_result_nF.max(0))
    rule_F, frequency_F, result_F = (power / total_F for power in found)
    return rule_F, frequency_F, result_F
