"""Local learning coefficient: how many directions of weight space the loss really feels.

Estimated by stochastic-gradient Langevin dynamics about the trained weights w* (Lau et al. 2023,
arXiv 2308.12108): lambda = n beta (E[L(w)] - L(w*)) with beta = 1 / ln n. A regular minimum in d
dimensions has d / 2, a singular one less. The chains are members of one fused pack.

Shapes: M chains, n parameters of a member (w_Mn), N samples of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grokmodel.core import noise
from grokmodel.core.config import MAX_SEED
from grokmodel.core.member import Member
from grokmodel.core.training import Pack

LossAndGrad = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""(w (M, n), step) -> loss (M,) and its gradient (M, n), on the batch of that step."""
LANGEVIN_STREAM = 11


@dataclass(frozen=True)
class Langevin:
    """How the chains are run."""

    chains: int = 2
    steps: int = 60
    burn_in: int = 30
    """Steps that do not count."""
    resolution: float = 40.0
    """Curvature of the loss above which a direction counts (half). It sets the pull back to w*,
    gamma = resolution * n beta, without which the chains leave the neighborhood."""
    rate: float = 0.09
    """Step size times gamma: the chains forget their start in 2 / rate steps."""


@dataclass(frozen=True)
class LearningCoefficientRow:
    """One chain; meanings in the table `learning_coefficient`."""

    chain: int
    llc: float
    loss: float
    loss_of_chain: float
    samples: int
    resolution: float


def learning_coefficient(
    member: Member[Any],
    fuse: Callable[[Sequence[Member[Any]]], Pack[Any]],
    samples: int,
    how: Langevin | None = None,
) -> list[LearningCoefficientRow]:
    """One row a chain, with the training loss of the member.

    Args:
        fuse: makes a pack of copies of the member.
        samples: different examples that it was trained on.
    """
    how = how or Langevin()
    pack = fuse([member] * (how.chains + 1))  # the last one stays at w*

    def loss_and_grad(w_Mn: Tensor, step: int) -> tuple[Tensor, Tensor]:
        w_Mn = w_Mn.detach().requires_grad_()
        loss_M = pack.loss(w_Mn, torch.full_like(pack.state.step, step))
        (grad_Mn,) = torch.autograd.grad(loss_M.sum(), w_Mn)
        return loss_M.detach(), grad_Mn

    start_n = pack.state.average[0]
    return estimate(loss_and_grad, start_n, samples, how, seed=member.config.seed)


def estimate(
    loss_and_grad: LossAndGrad, start_n: Tensor, samples: int, how: Langevin, seed: int
) -> list[LearningCoefficientRow]:
    """Run the chains from `start_n`; the loss is the mean over `samples` data points.

    The batch of a step is the same for all chains and for w*, so that its noise cancels.
    """
    # beta = 1 / ln n, the temperature at which lambda is read off (WBIC); n beta scales the loss
    n_beta = samples / math.log(max(samples, 3))
    # gamma: the pull back to w*, as strong as the curvature from which on a direction counts
    pull = how.resolution * n_beta
    # epsilon, such that a chain forgets its start in 2 / rate steps
    step_size = how.rate / pull
    w_Mn = start_n.expand(how.chains + 1, -1).clone()
    # streams of their own also for trials whose seeds are neighbors
    seed_M = (seed * 1009 + torch.arange(how.chains + 1, device=w_Mn.device)) % MAX_SEED
    # the last row stays at w* and measures L(w*) on the same batches
    moves_M1 = torch.ones(len(w_Mn), 1, device=w_Mn.device)
    moves_M1[-1] = 0.0
    total_M = torch.zeros(len(w_Mn), dtype=torch.float64, device=w_Mn.device)
    for step in range(how.steps):
        loss_M, grad_Mn = loss_and_grad(w_Mn, step)
        if step >= how.burn_in:
            total_M += loss_M
        # Langevin step: w += -epsilon / 2 (n beta grad L + gamma (w - w*)) + N(0, epsilon)
        drift = n_beta * grad_Mn + pull * (w_Mn - start_n)
        step_M = torch.full_like(seed_M, step)
        kick = noise.normal(seed_M, LANGEVIN_STREAM, step_M, 1, w_Mn.shape[1])[:, 0]
        move = -0.5 * step_size * drift + math.sqrt(step_size) * kick
        w_Mn = w_Mn + moves_M1 * move
    # E[L(w)] of every chain and, last, L(w*)
    *chains, at_start = (total_M / (how.steps - how.burn_in)).tolist()
    return [
        LearningCoefficientRow(
            chain=i,
            llc=n_beta * (loss - at_start),
            loss=at_start,
            loss_of_chain=loss,
            samples=samples,
            resolution=how.resolution,
        )
        for i, loss in enumerate(chains)
    ]
