"""The family of the streaming-parity network, which needs nothing besides its members."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from grokmodel.core.execution import EAGER
from grokmodel.core.family import Family, Inputs
from grokmodel.core.outcome import Evaluation
from grokmodel.core.rows import Row
from grokmodel.parity.evaluate import evaluate
from grokmodel.parity.pack import Member, Pack, training_sequences


class ParityFamily(Family):
    """Small recurrent networks that learn the parity of a stream of bits."""

    member = Member

    def fuse(
        self, members: Sequence[Member], inputs: Inputs, device: torch.device, mode: str = EAGER
    ) -> Pack:
        return Pack(members, device, mode)

    def evaluate(self, pack: Pack, inputs: Inputs, losses_M: Tensor) -> list[Evaluation]:
        return evaluate(pack, losses_M)

    def examples(self, member: Member) -> int:
        """Training sequences: an epoch goes through all of them."""
        return len(training_sequences(member.config))

    def finals(self, pack: Pack, inputs: Inputs) -> list[Row]:
        """Nothing is sampled, so what the last evaluation found is final."""
        sequences = pack.shape.val_sequences
        return [
            {
                "train_acc_final": e.train_acc,
                "val_acc_final": e.val_acc,
                "val_acc_strict_final": e.val_acc_strict,
                "n_train": len(train),
                "n_val": sequences,
                "n_strict": sequences,
            }
            for e, train in zip(evaluate(pack, pack.loss_sum_M), pack.train, strict=True)
        ]


FAMILY = ParityFamily()
