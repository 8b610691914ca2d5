"""The family of the token model, which needs nothing besides its members."""

from __future__ import annotations

from torch import Tensor

from grokmodel.core.family import Family, Inputs
from grokmodel.core.outcome import Evaluation
from grokmodel.core.rows import Row, last_accuracies
from grokmodel.data.pairs import split_pairs
from grokmodel.tokens.evaluate import evaluate
from grokmodel.tokens.pack import Member, Pack


class TokensFamily(Family):
    """One-layer transformers that learn a ∘ b from tokens."""

    member, pack = Member, Pack

    def evaluate(self, pack: Pack, inputs: Inputs, losses_M: Tensor) -> list[Evaluation]:
        return evaluate(pack, losses_M)

    def examples(self, member: Member) -> int:
        """Training pairs: every batch is all of them."""
        return len(split_pairs(member.config).train)

    def finals(self, pack: Pack, inputs: Inputs) -> list[Row]:
        """Nothing is sampled, so what the last evaluation found is final."""
        return [
            last_accuracies(member)
            | {"n_train": len(split.train), "n_val": len(split.val)}
            | {"n_strict": int(split.strict.sum())}
            for member, split in zip(pack.members, pack.splits, strict=True)
        ]


FAMILY = TokensFamily()
