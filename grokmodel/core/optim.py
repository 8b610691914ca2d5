"""AdamW whose hyper-parameters differ per member, and the average of the weights.

All parameters of a member lie in one row of a matrix (M, n): torch's fused kernel goes over it
once, and a member is stopped, moved or saved as one row. Source: Loshchilov and Hutter, "Decoupled
Weight Decay Regularization" (arXiv 1711.05101), with the learning rate multiplying the decay.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

EPS = 1e-8


@dataclass(frozen=True)
class Hyper:
    """Per-member hyper-parameters, each of shape (M,)."""

    lr: Tensor
    warmup: Tensor
    """Steps of linear warm-up; 0 for none."""
    steps: Tensor
    """Updates in all."""
    cooldown: Tensor
    """Last updates in which the learning rate falls linearly toward 0; 0 for none."""
    weight_decay: Tensor
    late_decay_from: Tensor
    """Steps after which the late decay holds; 0 for never."""
    late_weight_decay: Tensor
    beta1: Tensor
    beta2: Tensor
    ema: Tensor
    """Decay of the weight average."""


@dataclass
class OptimState:
    """Training state of a pack: one row per member. All (M, n) float32 but `step` (M,) int64."""

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


class Optimizer:
    """Updates a state in place.

    Members whose hyper-parameters and step are equal, such as seeds, share a kernel launch.
    """

    def __init__(self, state: OptimState, hyper: Hyper) -> None:
        self.state, self.hyper = state, hyper
        self.lr_M = torch.zeros_like(state.weights[:, 0])
        self.step_M = state.step.to(torch.float32)
        self.has_late_decay = bool((hyper.late_decay_from > 0).any())
        self.groups = [self._group(rows) for rows in self._alike()]

    def _alike(self) -> list[list[int]]:
        """Rows in groups that one launch can update."""
        hyper = vars(self.hyper)
        # how many steps there are matters to those that cool down at their end
        hyper = hyper | {"steps": torch.where(hyper["cooldown"] > 0, hyper["steps"], 0)}
        fields = [v.tolist() for v in (*hyper.values(), self.state.step)]
        kinds = list(zip(*fields))
        rows = sorted(range(len(kinds)), key=kinds.__getitem__)
        return [list(group) for _, group in itertools.groupby(rows, kinds.__getitem__)]

    def _group(self, rows: list[int]) -> tuple[list[int], dict[str, Any]]:
        """Rows, and what AdamW's kernel needs of them but their gradients."""
        first, state, hyper = rows[0], self.state, self.hyper
        return rows, {
            "exp_avgs": [state.first[i] for i in rows],
            "exp_avg_sqs": [state.second[i] for i in rows],
            "max_exp_avg_sqs": [],
            "state_steps": [self.step_M[i] for i in rows],
            "lr": self.lr_M[first],
            "beta1": float(hyper.beta1[first]),
            "beta2": float(hyper.beta2[first]),
            "weight_decay": float(hyper.weight_decay[first]),
            "eps": EPS,
            "amsgrad": False,
            "maximize": False,
        }

    @torch.no_grad()
    def update(self, grad: Tensor) -> None:
        """One step of AdamW by a gradient of the shape of the weights, then of their average."""
        self.state.step += 1
        self.step_M += 1
        torch.mul(self.hyper.lr, self._ramp(), out=self.lr_M)
        if self.has_late_decay:
            self._decay_late()
        for rows, rest in self.groups:
            # the kernel of torch.optim.AdamW(fused=True): the class itself takes two seconds to
            # import torch's compiler, in every worker
            weights = [self.state.weights[i] for i in rows]
            torch._fused_adamw_(weights, [grad[i] for i in rows], **rest)
        # early averages would remember the random start: the decay grows with the steps made
        decay_M = torch.minimum(self.hyper.ema, self.step_M / (self.step_M + 10.0))
        self.state.average.lerp_(self.state.weights, (1.0 - decay_M)[:, None])

    def _ramp(self) -> Tensor:
        """(M,) share of the learning rate: warm-up, plateau, cool-down."""
        hyper = self.hyper
        up_M = self.step_M / torch.clamp(hyper.warmup, min=1.0)
        down_M = (hyper.steps + 1.0 - self.step_M) / torch.clamp(hyper.cooldown, min=1.0)
        return torch.clamp(torch.minimum(up_M, down_M), 0.0, 1.0)

    def _decay_late(self) -> None:
        """Put the late decay in the place of the kernel's, which is a number and cannot change."""
        hyper = self.hyper
        is_late = (hyper.late_decay_from > 0) & (self.step_M > hyper.late_decay_from)
        late_M, usual_M = (
            1.0 - self.lr_M * d for d in (hyper.late_weight_decay, hyper.weight_decay)
        )
        factor_M = torch.where(is_late, late_M / usual_M, torch.ones_like(late_M))
        self.state.weights.mul_(factor_M[:, None])
