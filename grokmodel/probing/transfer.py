"""Does what matters in a small model say what matters in a large one of the same task?

A unit is an attention head or a neuron of an FFN. It is important as far as the error of a single
prediction at t = 1 rises when it is held at its mean over all pairs (mean ablation). An alignment
is learned from activations alone, never from ablations of the large model: ridge regression of the
large model's units on the small one's, both shown the same pairs and the same noise. A large unit
is predicted to be as important as the small units that it is made of, each by its part in the fit.

The prediction is compared by rank with direct ablation; with random alignments, in which the small
model's importances are dealt out at random; with the large units' own variance, for which no small
model is needed; and with how far one half of the pairs predicts the other (the noise ceiling).

Shapes: Q pairs, S and L units of the small and the large model, C tokens of an image, N = Q C
states per draw of noise, d features of a unit, X pixels of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.member import Hook
from grokmodel.probing.activations import DRAWS
from grokmodel.probing.hooks import HookPoint, editor, recorder
from grokmodel.probing.probe import Probe

T = 1.0
HEADS, NEURONS = "heads", "neurons"
RIDGE = 0.01
"""Ridge of the regression, in units of the mean variance of a feature."""
ALIGNMENTS = 1000
"""Random alignments."""
FEWEST = 3
"""Units of which a correlation means anything."""
DEAD = 1e-6
"""Units with less than this share of the largest variance are left out: they have nothing to lose,
which needs no prediction."""


@dataclass(frozen=True)
class TransferRow:
    """Heads or neurons; correlations are Spearman's, over the large model's units."""

    units: str
    n_small: int
    n_large: int
    correlation: float
    """Of importance predicted by the alignment and direct importance."""
    null_q95: float
    """95 % quantile of that over random alignments."""
    p_value: float
    ceiling: float
    """Of the importances in two halves of the pairs."""
    by_variance: float
    """Of importance and a unit's own variance."""
    r2: float
    """Share of the large units' variance that the alignment predicts on pairs that it was not
    fitted to."""


@dataclass(frozen=True)
class Units:
    """All live heads or neurons of one model."""

    states: list[Tensor]
    """(N, d) of each, less the mean over pairs, all draws one after another."""
    importance_UQ: np.ndarray
    """Rise of the squared error per pixel, per pair."""

    @property
    def importance_U(self) -> np.ndarray:
        return self.importance_UQ.mean(1)

    @property
    def variance_U(self) -> np.ndarray:
        return np.array([float(x.square().sum(1).mean()) for x in self.states])


@torch.no_grad()
def transfer(small: Probe, large: Probe) -> list[TransferRow]:
    """A row for heads and one for neurons.

    Args:
        small, large: one member each, over the whole grid of pairs, of the same symbols, operation
            and images; of whatever width, heads, depth and seed.
    """
    return compared(units_of(small), units_of(large))


def compared(small: dict[str, Units], large: dict[str, Units]) -> list[TransferRow]:
    """The same, of units that were measured before."""
    return [_row(kind, small[kind], large[kind]) for kind in (HEADS, NEURONS)]


# --- units and their importance -------------------------------------------------------------------


@torch.no_grad()
def units_of(probe: Probe) -> dict[str, Units]:
    """The live units of a probe's only member; the noise is the same for all models."""
    shape, defined_Q = probe.shape, probe.defined_MQ[0]
    generator = torch.Generator().manual_seed(0)
    size = (DRAWS, 1, probe.Q, shape.side**2)
    starts = torch.randn(size, generator=generator).to(probe.device)
    target_QX = probe.templates()[0, probe.c_MQ[0]]
    operands = [probe.operands(draw) for draw in range(len(starts))]

    def errors(hook: Hook | None) -> np.ndarray:
        draws = zip(starts, operands, strict=True)
        images = (probe.predict(x, T, own, hook)[0] for x, own in draws)
        error_QX = torch.stack([(x - target_QX).square().mean(-1) for x in images]).mean(0)
        return np.asarray(error_QX[defined_Q].double().cpu())

    def ablated(point: HookPoint, columns: slice, mean_Cd: Tensor) -> np.ndarray:
        def edit(_: HookPoint, part: Tensor) -> Tensor:
            part = part.clone()
            part[..., columns] = mean_Cd
            return part

        return errors(editor([point], shape, edit))

    clean_Q = errors(None)
    seen: list[dict[str, Tensor]] = [{} for _ in starts]
    for into, x, own in zip(seen, starts, operands, strict=True):
        probe.predict(x, T, own, recorder(into))
    found = {}
    for kind, units in _all_units(probe).items():
        states, importance = [], []
        for point, columns in units:
            parts = (point.view(of[point.name], shape)[0, defined_Q][..., columns] for of in seen)
            whole = torch.stack(list(parts))  # (draws, Q, C, d)
            mean_Cd = whole.mean((0, 1))
            states.append((whole - mean_Cd).flatten(0, 2))
            importance.append(ablated(point, columns, mean_Cd) - clean_Q)
        found[kind] = _live(Units(states, np.stack(importance)))
    return found


def _all_units(probe: Probe) -> dict[str, list[tuple[HookPoint, slice]]]:
    """Every unit: a hook point and its columns there."""
    blocks = [f"block{i}" for i in range(probe.shape.depth)]
    heads = [
        (HookPoint(f"{block}.head_output", head=h), slice(None))
        for block in blocks
        for h in range(probe.shape.heads)
    ]
    neurons = [
        (HookPoint(f"{block}.ffn.post"), slice(i, i + 1))
        for block in blocks
        for i in range(probe.shape.ffn)
    ]
    return {HEADS: heads, NEURONS: neurons}


def _live(units: Units) -> Units:
    keep = np.flatnonzero(units.variance_U > DEAD * units.variance_U.max())
    return Units([units.states[i] for i in keep], units.importance_UQ[keep])


# --- alignment ------------------------------------------------------------------------------------


def alignment(small: Sequence[Tensor], large: Sequence[Tensor]) -> np.ndarray:
    """(L, S) of what every large unit is made of: the variance that each small unit contributes to
    its ridge fit, as shares of 1."""
    x_ND, y_NE = _scaled(small), _scaled(large)
    sizes = [x.shape[1] for x in small]
    parts = zip(x_ND.split(sizes, dim=1), _ridge(x_ND, y_NE).split(sizes), strict=True)
    made_SE = torch.stack([(x_Nd @ w_dE).square().mean(0) for x_Nd, w_dE in parts])
    firsts = np.cumsum([0, *(y.shape[1] for y in large[:-1])])
    made_LS = np.add.reduceat(made_SE.cpu().numpy(), firsts, axis=1).T
    return np.asarray(made_LS / made_LS.sum(1, keepdims=True))


def _scaled(units: Sequence[Tensor]) -> Tensor:
    """(N, features of all units) float64, each unit with variance 1."""
    parts = [x.double() for x in units]
    return torch.cat([x / x.square().sum(1).mean().sqrt() for x in parts], dim=1)


def _ridge(x_ND: Tensor, y_NE: Tensor) -> Tensor:
    """(D, E) weights."""
    gram_DD = x_ND.T @ x_ND / len(x_ND)
    ridge = RIDGE * gram_DD.diagonal().mean()
    return torch.linalg.solve(
        gram_DD + ridge * torch.eye(len(gram_DD)).to(gram_DD), x_ND.T @ y_NE / len(x_ND)
    )


def _held_out(small: Units, large: Units, half_Q: np.ndarray) -> float:
    """R^2 on one half of the pairs of the regression fitted to the other."""
    x_ND, y_NE = _scaled(small.states), _scaled(large.states)
    tokens = len(x_ND) // (DRAWS * len(half_Q))
    fit_N = torch.from_numpy(half_Q).repeat_interleave(tokens).repeat(DRAWS).to(x_ND.device)
    weights_DE = _ridge(x_ND[fit_N], y_NE[fit_N])
    rest = y_NE[~fit_N] - x_ND[~fit_N] @ weights_DE
    return float(1 - rest.square().sum() / y_NE[~fit_N].square().sum())


# --- comparison -----------------------------------------------------------------------------------


def _row(kind: str, small: Units, large: Units) -> TransferRow:
    n_small, n_large = len(small.states), len(large.states)
    if min(n_small, n_large) < FEWEST:
        return TransferRow(kind, n_small, n_large, *[float("nan")] * 6)
    rng = np.random.default_rng(0)
    Q = large.importance_UQ.shape[1]
    half_Q = rng.permutation(Q) < Q // 2
    direct_L, weights_LS = large.importance_U, alignment(small.states, large.states)
    dealt_RS = rng.permuted(np.tile(small.importance_U, (ALIGNMENTS, 1)), axis=1)
    null_R = rank_correlation(dealt_RS @ weights_LS.T, direct_L)
    found = float(rank_correlation(weights_LS @ small.importance_U, direct_L))
    halves = (large.importance_UQ[:, half].mean(1) for half in (half_Q, ~half_Q))
    return TransferRow(
        units=kind,
        n_small=n_small,
        n_large=n_large,
        correlation=found,
        null_q95=float(np.quantile(null_R, 0.95)),
        p_value=float((1 + (null_R >= found).sum()) / (1 + ALIGNMENTS)),
        ceiling=float(rank_correlation(*halves)),
        by_variance=float(rank_correlation(large.variance_U, direct_L)),
        r2=_held_out(small, large, half_Q),
    )


def rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's, along the last axis, of values without ties."""
    a, b = (values.argsort(-1).argsort(-1) - (values.shape[-1] - 1) / 2 for values in (x, y))
    return np.asarray((a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1)))
