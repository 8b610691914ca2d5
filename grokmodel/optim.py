"""AdamW whose hyper-parameters differ per member.

All parameters of a member lie in one row of a matrix (M, n), so an update is a few elementwise
operations whatever the number of layers, and a member is stopped, moved or saved as one row.
Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (arXiv 1711.05101), with the
learning rate multiplying the decay as in `torch.optim.AdamW`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EPS = 1e-8


@dataclass(frozen=True)
class Hyper:
    """Per-member hyper-parameters, each of shape (M,)."""

    lr: Tensor
    warmup: Tensor
    """Steps of linear warm-up; 0 for none."""
    weight_decay: Tensor
    beta1: Tensor
    beta2: Tensor
    ema: Tensor
    """Decay of the weight average."""


@dataclass
class OptimState:
    """Training state of a pack: one row a member. All (M, n) float32 but `step` (M,) int64."""

    weights: Tensor
    first: Tensor
    second: Tensor
    average: Tensor
    """Exponential moving average of the weights: what is evaluated and saved for analysis."""
    step: Tensor
    """Updates made so far."""

    @classmethod
    def start(cls, weights: Tensor) -> OptimState:
        step = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
        zeros = torch.zeros_like
        return cls(weights, zeros(weights), zeros(weights), weights.clone(), step)


@torch.no_grad()
def update(state: OptimState, grad: Tensor, hyper: Hyper) -> None:
    """One AdamW step in place, then the weight average.

    Args:
        grad: of the shape of the weights; it is used as scratch space and left with rubbish.
    """
    state.step += 1
    step_M = state.step.to(torch.float32)
    ramp_M = torch.clamp(step_M / torch.clamp(hyper.warmup, min=1.0), max=1.0)
    lr_M = hyper.lr * ramp_M
    correct1_M = 1.0 - hyper.beta1**step_M
    correct2_M = 1.0 - hyper.beta2**step_M

    # nothing of size (M, n) is allocated: fresh memory costs more here than the arithmetic
    state.first.lerp_(grad, (1.0 - hyper.beta1)[:, None])
    grad.mul_(grad)
    state.second.lerp_(grad, (1.0 - hyper.beta2)[:, None])
    denominator = torch.sqrt(state.second, out=grad).mul_(correct2_M.rsqrt()[:, None]).add_(EPS)
    direction = torch.div(state.first, denominator, out=grad)
    state.weights.mul_((1.0 - lr_M * hyper.weight_decay)[:, None])
    state.weights.addcmul_(direction, (lr_M / correct1_M)[:, None], value=-1.0)
    # early averages would remember the random start: the decay grows with the steps made
    decay_M = torch.minimum(hyper.ema, step_M / (step_M + 10.0))
    state.average.lerp_(state.weights, (1.0 - decay_M)[:, None])
