"""Logits -> accuracies and validation loss: what one evaluation of a pack measures.

Nothing is sampled: all P^2 pairs are evaluated. Accuracy is always taken twice: over all validation
pairs and over the strict ones, whose mirror (b, a) is held out as well (see `data/pairs.py`).

Shapes: M members, Q = P^2 pairs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.outcome import Evaluation
from grokmodel.tokens.model import forward
from grokmodel.tokens.pack import Pack, cross_entropy

PAIRS_AT_ONCE = 4096
"""Of all members together, so that a large pack needs no more memory than to train."""


@torch.no_grad()
def evaluate(pack: Pack, losses_M: Tensor) -> list[Evaluation]:
    """One Evaluation for every row of the pack, given its mean training losses (M,)."""
    right_MQ, loss_MQ = of_all_pairs(pack)
    norms = pack.state.weights.norm(dim=1).tolist()
    steps, losses = pack.state.step.tolist(), losses_M.tolist()
    out = []
    for i, split in enumerate(pack.splits):
        train_Q, val_Q = (pairs @ [pack.shape.P, 1] for pairs in (split.train, split.val))
        right_Q, strict_Q = right_MQ[i], val_Q[split.strict]
        row = Evaluation(
            step=steps[i],
            loss=losses[i],
            train_acc=_mean(right_Q[train_Q]),
            val_acc=_mean(right_Q[val_Q]),
            val_acc_strict=_mean(right_Q[strict_Q]),
            mem_share=math.nan,
            weight_norm=norms[i],
            val_loss=_mean(loss_MQ[i][val_Q]),
        )
        out.append(row)
    return out


@torch.no_grad()
def of_all_pairs(pack: Pack) -> tuple[np.ndarray, np.ndarray]:
    """For pair (a, b) in column a P + b: whether the averaged weights give a ∘ b, (M, Q) bool, and
    the cross-entropy (M, Q). Those of an undefined pair mean nothing."""
    params = pack.params(pack.state.average)
    M, P = len(pack.members), pack.shape.P
    columns = torch.arange(P * P, device=pack.device)
    right, losses = [], []
    for part in columns.split(max(1, PAIRS_AT_ONCE // M)):
        a_MQ, b_MQ = (x.expand(M, -1) for x in (part // P, part % P))
        target_MQ = pack.results(torch.stack([a_MQ, b_MQ], dim=2)).clamp(min=0)
        logits_MQP = forward(params, pack.shape, a_MQ, b_MQ)
        # what is not finite is wrong: the largest of NaNs would be the first
        is_finite_MQ = logits_MQP.isfinite().all(2)
        right.append(is_finite_MQ & (logits_MQP.argmax(2) == target_MQ))
        losses.append(cross_entropy(logits_MQP, target_MQ))
    return torch.cat(right, 1).cpu().numpy(), torch.cat(losses, 1).cpu().numpy()


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
