"""A pack of the token model: its pairs on the device, and the loss over all that train.

What differs between members (operation, pairs, seed, hyper-parameters) is data with a leading
member axis; what is equal (`TokensShape`) is the program.

Shapes: M members, Q pairs, n parameters of a member.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from grokmodel.core import member as core_member
from grokmodel.core import training
from grokmodel.core.execution import EAGER
from grokmodel.data.pairs import Split, result_table, split_pairs
from grokmodel.tokens.config import TokensConfig
from grokmodel.tokens.model import Layout, forward


class Member(core_member.Member[TokensConfig]):
    """One trial of the token model in training."""

    config_class = TokensConfig
    layout_class = Layout
    divergence_ratio = 5.0

    @staticmethod
    def initial_weights(config: TokensConfig) -> Tensor:
        return Layout(config.shape).init(config.seed, config.init_scale)


class Pack(training.Pack[Member]):
    """Live members on one device, and their pairs.

    Args:
        members: trials of one `TokensShape`; each keeps its own step.
        mode: how a step is run, one of `execution.MODES`.
    """

    def __init__(self, members: Sequence[Member], device: torch.device, mode: str = EAGER) -> None:
        super().__init__(members, device, mode)
        self.splits: list[Split] = [split_pairs(m.config) for m in self.members]
        tables = [result_table(m.config.op, m.config.P) for m in self.members]
        self.result_MPP = torch.stack([torch.from_numpy(t) for t in tables]).to(device)
        """a ∘ b indexed [member, a, b]; UNDEFINED where there is none."""
        trains = [torch.from_numpy(s.train) for s in self.splits]
        self.train_MQ2 = pad_sequence(trains, batch_first=True).to(device)
        """Training pairs of every member, padded with pairs of no weight."""
        shares = [torch.full((len(t),), 1.0 / len(t), dtype=torch.float64) for t in trains]
        self.share_MQ = pad_sequence(shares, batch_first=True).to(device)
        """How much of the mean over a member's training pairs each is."""
        self.target_MQ = self.results(self.train_MQ2).clamp(min=0)

    def results(self, pair_MQ2: Tensor) -> Tensor:
        """c = a ∘ b of every pair, (M, Q)."""
        index_MQ = pair_MQ2[..., 0] * self.shape.P + pair_MQ2[..., 1]
        return self.result_MPP.flatten(1).gather(1, index_MQ)

    def batch(self, step_M: Tensor) -> Tensor:
        """All training pairs (M, Q, 2): every step has the same."""
        return self.train_MQ2

    def loss_on(self, weights_Mn: Tensor, batch: Tensor) -> Tensor:
        """Mean cross-entropy over all training pairs, (M,)."""
        a_MQ, b_MQ = batch.unbind(2)
        logits_MQP = forward(self.params(weights_Mn), self.shape, a_MQ, b_MQ)
        return (cross_entropy(logits_MQP, self.target_MQ) * self.share_MQ).sum(1).float()


def cross_entropy(logits_MQP: Tensor, target_MQ: Tensor) -> Tensor:
    """-log of the probability of every target, (M, Q) float64.

    In float64, as in the paper's code: a model that has memorized is so sure that in float32 the
    probability of the target rounds to 1, and loss and gradient to 0 or to mere rounding. What
    weight decay then takes off is not put back, which shows as jumps of the loss and hides the slow
    change that leads to grokking.
    """
    log_MQP = logits_MQP.double().log_softmax(dim=2)
    return -log_MQP.gather(2, target_MQ[..., None]).squeeze(2)
