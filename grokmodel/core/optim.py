"""AdamW, Grokfast, Muon or SGD, whose hyper-parameters differ per member; the average of the
weights.

All parameters of a member lie in one row of a matrix (M, n): torch's fused kernel goes over it
once, and a member is stopped, moved or saved as one row.

Sources: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (arXiv 1711.05101), with the
learning rate multiplying the decay; Lee et al., "Grokfast" (arXiv 2405.20233), the variant with an
exponential average; Jordan et al., "Muon" (2024), scaled as by Liu et al., "Muon is Scalable for
LLM Training" (arXiv 2502.16982), so that learning rate and decay mean what they mean in AdamW.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grokmodel.core.config import OPTIMIZERS

EPS = 1e-8
ADAMW, GROKFAST, MUON, SGD = OPTIMIZERS
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Muon's iteration, which takes all singular values to about 1 in five rounds."""
MUON_RMS = 0.2
"""Root mean square of an update by AdamW, which Muon's is scaled to."""

Matrices = Sequence[tuple[int, int, int]]
"""Where matrices lie in a row of parameters: first number, rows, columns."""


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
    weight_clip: Tensor
    """Largest root mean square of a matrix in units of 1 / sqrt(its rows); 0 for none."""
    beta1: Tensor
    beta2: Tensor
    grokfast_decay: Tensor
    grokfast_gain: Tensor
    muon_momentum: Tensor
    ema: Tensor
    """Decay of the weight average."""


@dataclass
class OptimState:
    """Training state of a pack: one row per member. All (M, n) float32 but `step` (M,) int64."""

    weights: Tensor
    first: Tensor
    second: Tensor
    slow: Tensor
    """Average gradients of Grokfast, or momentum of Muon; (M, 0) for the others."""
    average: Tensor
    """Exponential moving average of the weights: what is evaluated and saved for analysis."""
    step: Tensor
    """Updates made so far."""

    @classmethod
    def start(cls, weights: Tensor, optimizer: str = ADAMW) -> OptimState:
        step = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
        zeros = torch.zeros_like
        slow = zeros(weights[:, : slow_size(weights.shape[1], optimizer)])
        return cls(weights, zeros(weights), zeros(weights), slow, weights.clone(), step)


def slow_size(n: int, optimizer: str) -> int:
    """Numbers in the row `slow` of a member of n weights."""
    return n if optimizer in (GROKFAST, MUON) else 0


class Optimizer:
    """Updates a state in place.

    Members whose hyper-parameters and step are equal, such as seeds, share a kernel launch.

    Args:
        kind: one of `OPTIMIZERS`, the same for all members.
        matrices: what Muon updates, and `weight_clip` clips; all else is left to AdamW.
    """

    def __init__(
        self, state: OptimState, hyper: Hyper, kind: str = ADAMW, matrices: Matrices = ()
    ) -> None:
        self.state, self.hyper = state, hyper
        self.kind, self.matrices = kind, matrices
        self.lr_M = torch.zeros_like(state.weights[:, 0])
        self.step_M = state.step.to(torch.float32)
        self.has_late_decay = bool((hyper.late_decay_from > 0).any())
        self.has_clip = bool((hyper.weight_clip > 0).any())
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
        """One step by a gradient of the shape of the weights, then one of their average."""
        self.state.step += 1
        self.step_M += 1
        torch.mul(self.hyper.lr, self._ramp(), out=self.lr_M)
        if self.has_late_decay:
            self._decay_late()
        if self.kind == GROKFAST:
            grad = self._amplified(grad)
        directions = self._take_matrices(grad) if self.kind == MUON else []
        if self.kind == SGD:
            self._descend(grad)
        for rows, rest in self.groups if self.kind != SGD else ():
            # the kernel of torch.optim.AdamW(fused=True): the class itself takes two seconds to
            # import torch's compiler, in every worker
            weights = [self.state.weights[i] for i in rows]
            torch._fused_adamw_(weights, [grad[i] for i in rows], **rest)
        for matrix_Mrc, direction_Mrc in directions:  # decayed above, with all other weights
            matrix_Mrc.sub_(self.lr_M[:, None, None] * direction_Mrc)
        if self.has_clip:
            self._clip()
        # early averages would remember the random start: the decay grows with the steps made
        decay_M = torch.minimum(self.hyper.ema, self.step_M / (self.step_M + 10.0))
        self.state.average.lerp_(self.state.weights, (1.0 - decay_M)[:, None])

    def _descend(self, grad: Tensor) -> None:
        """SGD: decay, then the gradient as it is; the moments stay 0."""
        lr_M1 = self.lr_M[:, None]
        self.state.weights.mul_(1.0 - lr_M1 * self.hyper.weight_decay[:, None]).sub_(lr_M1 * grad)

    def _amplified(self, grad: Tensor) -> Tensor:
        """Grokfast: the gradient plus a multiple of its slow part."""
        self.state.slow.lerp_(grad, 1.0 - self.hyper.grokfast_decay[:, None])
        return torch.addcmul(grad, self.hyper.grokfast_gain[:, None], self.state.slow)

    def _take_matrices(self, grad: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Muon: (weights, what lr times is taken off them) of every matrix, whose gradient becomes
        0, so that AdamW does no more than decay it."""
        out = []
        momentum_M11 = self.hyper.muon_momentum[:, None, None]
        of_each = zip(*map(self._views, (grad, self.state.slow, self.state.weights)), strict=True)
        for grad_Mrc, slow_Mrc, weights_Mrc in of_each:
            rows, columns = grad_Mrc.shape[1:]
            slow_Mrc.lerp_(grad_Mrc, 1.0 - momentum_M11)
            # Nesterov's momentum: where the average will be, not where it is
            direction_Mrc = orthogonalized(torch.lerp(grad_Mrc, slow_Mrc, momentum_M11))
            out.append((weights_Mrc, MUON_RMS * math.sqrt(max(rows, columns)) * direction_Mrc))
            grad_Mrc.zero_()
        return out

    def _clip(self) -> None:
        """Scale back the matrices that are too large."""
        clip_M = self.hyper.weight_clip
        for weights_Mrc in self._views(self.state.weights):
            spread_M = weights_Mrc.square().mean((1, 2)).sqrt() * math.sqrt(weights_Mrc.shape[1])
            is_over = (clip_M > 0) & (spread_M > clip_M)
            factor_M = torch.where(is_over, clip_M / spread_M, torch.ones_like(spread_M))
            weights_Mrc.mul_(factor_M[:, None, None])

    def _views(self, x_Mn: Tensor) -> list[Tensor]:
        """Its matrices, each (M, rows, columns); no copies."""
        return [
            x_Mn[:, start : start + rows * columns].unflatten(1, (rows, columns))
            for start, rows, columns in self.matrices
        ]

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


def orthogonalized(x_Mrc: Tensor) -> Tensor:
    """Matrices with the same singular vectors, whose singular values are about 1 (0.7 to 1.2): five
    rounds of Newton-Schulz, x <- a x + (b A + c A^2) x with A = x x^T."""
    a, b, c = NEWTON_SCHULZ
    is_tall = x_Mrc.shape[1] > x_Mrc.shape[2]
    x = x_Mrc.mT if is_tall else x_Mrc
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if is_tall else x
