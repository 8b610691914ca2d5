"""Projecting activations on frequencies while the model runs.

The activations of all pairs are taken as a grid over the group; the coefficients of some
frequencies are set to zero and the model goes on with what is left.

The projection leak: coefficients taken over all pairs carry what is memorized of training pairs to
held-out pairs, because keeping most frequencies of a + b averages over all pairs of a sum. A model
that only memorized then scores on held-out pairs. `projecting_within_split` has no such leak:
coefficients of strict pairs come from strict pairs alone, and so on.

Shapes: M members, Q = n^2 pairs, n order of the group, K basis vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.member import Hook
from grokmodel.data.pairs import Split
from grokmodel.probing.cyclic import CyclicOrder
from grokmodel.probing.fourier import basis, coefficients_of
from grokmodel.probing.hooks import HookPoint, editor
from grokmodel.probing.probe import Probe, Shares

REMOVE, KEEP = "remove", "keep"
OWN_AT_LEAST = 2
"""Pairs a coefficient that a side needs for a fit of its own; with fewer it has no accuracy."""
Frequencies = Sequence[Sequence[int]]
"""One set of frequencies per member."""


def projecting(
    points: Sequence[HookPoint], probe: Probe, frequencies: Frequencies, mode: str
) -> Hook:
    """A hook that removes each member's frequencies from hook points, or keeps only them."""
    edit = projected(probe.order, frequencies, mode, probe.device)
    return editor(points, probe.shape, lambda _, part: edit(part))


def projected(
    order: CyclicOrder, frequencies: Frequencies, mode: str, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """What removes each member's frequencies from activations (M, P^2, ...), or keeps only them."""
    n = order.n
    chosen = torch.from_numpy(np.stack([coefficients_of(n, f) for f in frequencies]))
    keep = chosen.clone() if mode == KEEP else ~chosen
    keep[:, 0, 0] = True  # the mean is no frequency
    keep_Mnn = keep.to(device, torch.float32)
    basis_nn = torch.from_numpy(basis(n)[0]).to(device, torch.float32)
    pair_Q = torch.from_numpy(order.pairs.reshape(-1)).to(device)

    def edit(part: Tensor) -> Tensor:
        x = part.flatten(2).clone()
        grid = x[:, pair_Q].unflatten(1, (n, n))
        coefficient = torch.einsum("ai,mabd,bj->mijd", basis_nn, grid, basis_nn)
        coefficient *= keep_Mnn[..., None]
        kept = torch.einsum("ai,mijd,bj->mabd", basis_nn, coefficient, basis_nn)
        x[:, pair_Q] = kept.flatten(1, 2)
        return x.view(part.shape)

    return edit


def projecting_within_split(
    points: Sequence[HookPoint], probe: Probe, frequencies: Frequencies, mode: str
) -> tuple[Hook, list[Shares]]:
    """The same with coefficients by least squares within each side: training pairs, held-out pairs
    whose mirror trains, strict pairs.

    Returns:
        The hook, and for each member 1.0 for every accuracy that it can give and NaN for the rest.
    """
    n = probe.order.n
    pair_Q = probe.order.pairs.reshape(-1)
    vectors = basis(n)[0]
    waves_Qnn = np.einsum("ai,bj->abij", vectors, vectors).reshape(n * n, n, n)
    projectors, known = [], []
    for split, chosen in zip(probe.pack.splits, frequencies, strict=True):
        keep = coefficients_of(n, chosen)
        columns_QK = np.concatenate([np.full((n * n, 1), 1 / n), waves_Qnn[:, keep]], axis=1)
        sides = _sides(split, probe.P)[pair_Q]
        projectors.append(_own_projector(columns_QK, sides, mode))
        counts = [(sides == s).sum() for s in (0, 1, 2)]
        # an unordered split has no held-out pair whose mirror trains
        enough = [n == 0 or n >= OWN_AT_LEAST * columns_QK.shape[1] for n in counts]
        ok = (enough[0], enough[1] and enough[2], enough[2])
        known.append(Shares(*(1.0 if yes else float("nan") for yes in ok)))
    projector_Mqq = torch.from_numpy(np.stack(projectors)).to(probe.device, torch.float32)
    rows = torch.from_numpy(pair_Q).to(probe.device)

    def edit(_: HookPoint, part: Tensor) -> Tensor:
        x = part.flatten(2).clone()
        x[:, rows] = projector_Mqq @ x[:, rows]
        return x.view(part.shape)

    return editor(points, probe.shape, edit), known


def _sides(split: Split, P: int) -> np.ndarray:
    """(P^2,) 0 for training pairs, 1 for held-out pairs whose mirror trains, 2 for strict ones."""
    side = np.zeros(P**2, dtype=int)
    side[split.val @ (P, 1)] = 1 + split.strict
    return side


def _own_projector(columns_QK: np.ndarray, sides: np.ndarray, mode: str) -> np.ndarray:
    """(Q, Q) keeps or removes what the columns explain within each side; the first is the mean."""
    out = np.zeros((len(sides), len(sides)))
    for side in np.unique(sides):
        mine = np.flatnonzero(sides == side)
        fit = np.linalg.pinv(columns_QK[mine])
        if mode == KEEP:
            block = columns_QK[mine] @ fit
        else:
            block = np.eye(len(mine)) - columns_QK[mine, 1:] @ fit[1:]
        out[np.ix_(mine, mine)] = block
    return out
