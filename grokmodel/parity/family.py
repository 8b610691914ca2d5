"""The family of the streaming-parity network, which needs nothing besides its members."""

from __future__ import annotations

from torch import Tensor

from grokmodel.core.family import Family, Inputs
from grokmodel.core.outcome import Evaluation
from grokmodel.core.rows import Row, last_accuracies
from grokmodel.parity.evaluate import evaluate
from grokmodel.parity.pack import Member, Pack, training_sequences


class ParityFamily(Family):
    """Small recurrent networks that learn the parity of a stream of bits."""

    member, pack = Member, Pack

    def evaluate(self, pack: Pack, inputs: Inputs, losses_M: Tensor) -> list[Evaluation]:
        return evaluate(pack, losses_M)

    def examples(self, member: Member) -> int:
        """Training sequences: an epoch goes through all of them."""
        return len(training_sequences(member.config))

    def finals(self, pack: Pack, inputs: Inputs) -> list[Row]:
        """Nothing is sampled, so what the last evaluation found is final."""
        sequences = pack.shape.val_sequences
        return [
            last_accuracies(member)
            | {"n_train": len(train), "n_val": sequences, "n_strict": sequences}
            for member, train in zip(pack.members, pack.train, strict=True)
        ]


FAMILY = ParityFamily()
