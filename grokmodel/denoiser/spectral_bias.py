"""Spectral bias: by which step is a principal component of the results learned?

Of a linear denoiser that learns by gradient descent, components are learned in the order of their
variance, the time being proportional to its inverse (Wang and Pehlevan, arXiv 2503.03206). Here the
one-step prediction of the training pairs' results is taken along each component, over the
snapshots of a trial. At t = 1 the operands are all that it can come from, below it the noisy image
shows the result.

Shapes: S snapshots, K principal components, Q training pairs, X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.denoiser.denoiser import Known
from grokmodel.denoiser.gaussian import Gaussian
from grokmodel.probing.probe import Probe

LEVELS_T = (0.25, 0.5, 0.75, 1.0)
DRAWS = 2
LEARNED = 0.5
"""Error, as a share of the first, below which a component is learned."""
FEWEST = 5
"""Components that an exponent is fitted to, at least."""
RESAMPLED = 1000


@dataclass(frozen=True)
class SpectralBiasRow:
    """One component at one noise level; meanings in the table `spectral_bias`."""

    t: float
    component: int
    variance: float
    step_half: float
    step_explained: float
    final_error: float
    exponent: float
    exponent_low: float
    exponent_high: float


@torch.no_grad()
def spectral_bias(probe: Probe, last: Sequence[int]) -> list[list[SpectralBiasRow]]:
    """Rows of the last snapshot of every trial; of the others none.

    Args:
        probe: snapshots over the whole grid.
        last: for each member, the index of the last snapshot of its trial.
    """
    known = {i: Known.of(probe, i).results for i in sorted(set(last))}
    rows: list[list[SpectralBiasRow]] = [[] for _ in probe.members]
    for t in LEVELS_T:
        errors = _errors(probe, t, [known[i] for i in last])
        for i, gaussian in known.items():
            mine = sorted(
                (k for k in range(len(probe)) if last[k] == i), key=lambda k: probe.members[k].step
            )
            steps_S = np.array([probe.members[k].step for k in mine])
            error_SK = np.stack([errors[k] for k in mine])
            seed = probe.members[i].config.seed
            rows[i] += _rows(t, gaussian.variance_K.cpu().numpy(), steps_S, error_SK, seed)
    return rows


def _errors(probe: Probe, t: float, of_member: Sequence[Gaussian]) -> list[np.ndarray]:
    """Of every member (K,) the mean squared error of its prediction along each component."""
    draws = 1 if probe.is_certain(t) else DRAWS
    sums: list[Tensor | float] = [0.0] * len(probe)
    for draw in range(draws):
        hat_MQX = probe.predict(probe.noised(t, draw), t, probe.operands(draw))
        off_MQX = hat_MQX - probe.targets(draw)
        for i, (split, gaussian) in enumerate(zip(probe.pack.splits, of_member, strict=True)):
            train_Q = torch.from_numpy(split.train @ (probe.P, 1)).to(probe.device)
            along_QK = off_MQX[i, train_Q] @ gaussian.axes_KX.T
            sums[i] = sums[i] + along_QK.square().mean(0).double() / draws
    return [torch.as_tensor(error_K).cpu().numpy() for error_K in sums]


def _rows(
    t: float, variance_K: np.ndarray, steps_S: np.ndarray, error_SK: np.ndarray, seed: int
) -> list[SpectralBiasRow]:
    half_K = np.array([step_below(steps_S, e, LEARNED * e[0]) for e in error_SK.T])
    own_K = [step_below(steps_S, e, LEARNED * v) for e, v in zip(error_SK.T, variance_K)]
    # what is learned before the second snapshot is learned nobody knows when
    is_resolved = len(steps_S) > 1 and not (half_K < steps_S[1]).any()
    fit = exponent(variance_K, half_K, seed) if is_resolved else (float("nan"),) * 3
    final_K = error_SK[-1] / variance_K
    return [
        SpectralBiasRow(
            t=t,
            component=k + 1,
            variance=float(variance_K[k]),
            step_half=float(half_K[k]),
            step_explained=own_K[k],
            final_error=float(final_K[k]),
            exponent=fit[0],
            exponent_low=fit[1],
            exponent_high=fit[2],
        )
        for k in range(len(variance_K))
    ]


def step_below(steps_S: np.ndarray, error_S: np.ndarray, level: float) -> float:
    """The first step at which an error is below a level, interpolated in the logarithm of the step
    (from step 0 in the step itself); NaN if that never happens."""
    below = np.flatnonzero(error_S < level)
    if not len(below):
        return float("nan")
    k = int(below[0])
    if k == 0:
        return float(steps_S[0])
    part = (error_S[k - 1] - level) / (error_S[k - 1] - error_S[k])
    before, after = float(steps_S[k - 1]), float(steps_S[k])
    if before == 0:
        return float(part * after)
    return float(before * (after / before) ** part)


def exponent(variance_K: np.ndarray, step_K: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Exponent of step ~ variance^exponent by least squares of logarithms, over the components that
    are learned, and its 95 % interval by bootstrap over these; NaN where they are too few."""
    known = np.flatnonzero(step_K > 0)
    if len(known) < FEWEST:
        return (float("nan"),) * 3
    x_K, y_K = np.log(variance_K[known]), np.log(step_K[known])
    picks = np.random.default_rng(seed).integers(len(known), size=(RESAMPLED, len(known)))
    slopes = [slope(x_K[pick], y_K[pick]) for pick in picks]
    low, high = np.nanquantile(slopes, [0.025, 0.975])
    return slope(x_K, y_K), float(low), float(high)


def slope(x_K: np.ndarray, y_K: np.ndarray) -> float:
    """Of the least-squares line; NaN if all x are the same."""
    x_K = x_K - x_K.mean()
    square = float(x_K @ x_K)
    return float(x_K @ y_K) / square if square > 0 else float("nan")
