"""The family of models that draw rule-valid images, which needs nothing besides its members."""

from __future__ import annotations

from torch import Tensor

from grokmodel.core.family import Family, Inputs
from grokmodel.core.outcome import MEMORIZED, Evaluation, first, outcome
from grokmodel.core.rows import Row, last_accuracies
from grokmodel.rules.evaluate import evaluate
from grokmodel.rules.pack import HELD_OUT, Member, Pack

GROUPS_VALID = 0.95
"""`tau_rule_groups`: share of valid groups. As far above chance, which is 0.5, as RULE_VALID of
samples is above theirs."""


class RulesFamily(Family):
    """Flows and autoregressive models that learn to draw rule-valid images."""

    member, pack = Member, Pack

    def evaluate(self, pack: Pack, inputs: Inputs, losses_M: Tensor) -> list[Evaluation]:
        return evaluate(pack, losses_M)

    def examples(self, member: Member) -> int:
        """Training images."""
        return member.config.images

    def finals(self, pack: Pack, inputs: Inputs) -> list[Row]:
        """The same samples again would say the same, so what the last evaluation found is final."""
        return [_final(member) for member in pack.members]


def _final(member: Member) -> Row:
    found = outcome(member.curve, member.divergence_ratio)
    rule, memory = found.tau_rule, found.tau_mem
    return {
        **last_accuracies(member),
        "n_train": member.config.images,
        "n_val": HELD_OUT,
        "tau_rule_groups": first(member.curve, "val_acc", GROUPS_VALID),
        "tau_mem_groups": first(member.curve, "mem_groups", MEMORIZED),
        "window": None if rule is None or memory is None else memory - rule,
    }


FAMILY = RulesFamily()
