"""Sequences -> outputs -> accuracies: what one evaluation of a pack measures.

Shapes: M members, K sequences of the tree, N training sequences, Q validation sequences, T symbols.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from grokmodel.core.outcome import Evaluation
from grokmodel.parity.model import hidden_after, hidden_of_tree, readout
from grokmodel.parity.pack import Pack, squared_error


@torch.no_grad()
def evaluate(pack: Pack, losses_M: Tensor) -> list[Evaluation]:
    """One Evaluation for every row of the pack, given its mean training losses (M,).

    Every validation sequence is longer than any that trains, so all of them are strict.
    """
    train_M = _train_accuracy(pack)
    val_M, val_loss_M = _validation(pack, pack.val_MQT)
    norm_M = pack.state.weights.norm(dim=1)
    columns = (pack.state.step, losses_M, train_M, val_M, val_loss_M, norm_M)
    rows = zip(*(c.tolist() for c in columns), strict=True)
    return [
        Evaluation(
            step=step,
            loss=loss,
            train_acc=train,
            val_acc=val,
            val_acc_strict=val,
            mem_share=math.nan,
            weight_norm=norm,
            val_loss=val_loss,
        )
        for step, loss, train, val, val_loss, norm in rows
    ]


@torch.no_grad()
def accuracy_at(pack: Pack, length: int, sequences: int = 100) -> list[float]:
    """Accuracy of every member on random sequences of another length, such as 10,000."""
    return [float(a) for a in _validation(pack, pack.random_sequences(sequences, length))[0]]


def _train_accuracy(pack: Pack) -> Tensor:
    """(M,) share of the training sequences whose output is right."""
    p = pack.params(pack.state.average)
    output_MK2 = readout(p, hidden_of_tree(p, pack.shape.max_length))
    right_MN = _right(output_MK2, pack.parity_K).gather(1, pack.train_MN) & pack.is_real_MN
    return right_MN.sum(1) / pack.is_real_MN.sum(1)


def _validation(pack: Pack, symbols_MQT: Tensor) -> tuple[Tensor, Tensor]:
    """Accuracy and loss, (M,) each."""
    p = pack.params(pack.state.average)
    parity_MQ = symbols_MQT.sum(2) % 2
    output_MQ2 = readout(p, hidden_after(p, symbols_MQT))
    right_M = _right(output_MQ2, parity_MQ).float().mean(1)
    return right_M, squared_error(output_MQ2, parity_MQ).mean(1)


def _right(output_MB2: Tensor, parity: Tensor) -> Tensor:
    """(M, B) bool: the larger output is that of the parity. What is not finite is wrong."""
    return (output_MB2.argmax(-1) == parity) & output_MB2.isfinite().all(-1)
