"""A pack of the streaming-parity network: its sequences on the device, and the loss of a batch.

An epoch goes through all training sequences once, in an order that is new each time and a function
of seed and epoch. What differs between members (training sequences, how they are batched, seed,
gain, learning rate) is data with a leading member axis; what is equal (`ParityShape`) is the
program.

Shapes: M members, B sequences of a batch, T symbols, N training sequences of the member that has
most, S batches of an epoch, Q validation sequences, K sequences of the tree, n parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from grokmodel.core import member as core_member
from grokmodel.core import noise, training
from grokmodel.core.execution import EAGER
from grokmodel.parity.config import ParityConfig
from grokmodel.parity.model import Layout, hidden_after, one_hot, readout
from grokmodel.parity.sequences import all_sequences, count

SPLIT, ORDER, VALIDATION = 1, 2, 3
"""Streams of noise of this model."""


class Member(core_member.Member[ParityConfig]):
    """One trial of the streaming-parity network in training."""

    config_class = ParityConfig
    layout_class = Layout
    divergence_ratio = 2.0
    """An untrained network loses 1/2 per sequence, one that always says (1/2, 1/2) loses 1/4."""

    @staticmethod
    def initial_weights(config: ParityConfig) -> Tensor:
        return Layout(config.shape).init(config.seed, config.gain)


class Pack(training.Pack[Member]):
    """Live members on one device, and their sequences.

    Args:
        members: trials of one `ParityShape`; each keeps its own step.
        mode: how a step is run, one of `execution.MODES`.
    """

    def __init__(self, members: Sequence[Member], device: torch.device, mode: str = EAGER) -> None:
        super().__init__(members, device, mode)
        self._load_sequences()
        self._load_batches()
        self.val_MQT = self.random_sequences(self.shape.val_sequences, self.shape.val_length)

    # --- data on the device ----------------------------------------------------------------------

    def _load_sequences(self) -> None:
        tree = all_sequences(self.shape.max_length)
        arrays = (tree.symbols_KT, tree.length_K, tree.parity_K)
        tensors = (torch.from_numpy(a).to(self.device) for a in arrays)
        self.symbols_KT, self.length_K, self.parity_K = tensors
        self.train = [training_sequences(m.config) for m in self.members]
        padded = torch.nn.utils.rnn.pad_sequence(self.train, batch_first=True, padding_value=-1)
        self.train_MN = padded.to(self.device)
        self.is_real_MN = self.train_MN >= 0
        self.train_MN.clamp_(min=0)

    def _load_batches(self) -> None:
        """Batches are stretches of the training sequences in their order of an epoch, in which
        groups follow each other and what pads comes last."""
        is_mixed_M1 = self.column([m.config.batches == "mixed" for m in self.members])[:, None]
        group_MN = torch.where(is_mixed_M1, 0, self.length_K[self.train_MN])
        last = self.shape.max_length + 1
        self.group_MN = torch.where(self.is_real_MN, group_MN, last).float()
        rows = []
        for group_N, is_real_N in zip(self.group_MN.cpu(), self.is_real_MN.cpu()):
            counts = group_N[is_real_N].unique_consecutive(return_counts=True)[1].tolist()
            rows.append(torch.tensor(_batch_sizes(counts, self.shape.batch)))
        self.epoch_steps_M = self.column([len(r) for r in rows])
        self.rows_MS = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self.device)
        self.start_MS = self.rows_MS.cumsum(1) - self.rows_MS

    def random_sequences(self, sequences: int, length: int) -> Tensor:
        """Random symbols (M, sequences, length), the same whenever they are drawn."""
        zero_M = torch.zeros_like(self.seed_M)
        u = noise.uniform(self.seed_M, VALIDATION, zero_M, sequences * length)
        return (u > 0.5).long().view(-1, sequences, length)

    # --- one step --------------------------------------------------------------------------------

    def batch(self, step_M: Tensor) -> tuple[Tensor, Tensor]:
        """Training sequences (M, B) of the batch that comes after so many steps, as nodes of the
        tree, and the weight of each: 1 / (sequences of the batch), or 0 for what pads it."""
        epoch_M = step_M // self.epoch_steps_M
        place_M1 = (step_M % self.epoch_steps_M)[:, None]
        u_MN = noise.uniform(self.seed_M, ORDER, epoch_M, self.train_MN.shape[1])
        order_MN = (self.group_MN + u_MN).argsort(dim=1, stable=True)
        start_M1, rows_M1 = (x.gather(1, place_M1) for x in (self.start_MS, self.rows_MS))
        slot_B = torch.arange(self.shape.batch, device=self.device)
        at_MB = (start_M1 + slot_B).clamp(max=self.train_MN.shape[1] - 1)
        node_MB = self.train_MN.gather(1, order_MN.gather(1, at_MB))
        return node_MB, (slot_B < rows_M1) / rows_M1

    def loss_on(self, weights_Mn: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Weighted squared error (M,) of every member."""
        node_MB, share_MB = batch
        p = self.params(weights_Mn)
        h = hidden_after(p, self.symbols_KT[node_MB], self.length_K[node_MB])
        error_MB = squared_error(readout(p, h), self.parity_K[node_MB])
        return (share_MB * error_MB).sum(1)


def squared_error(output_MB2: Tensor, parity_MB: Tensor) -> Tensor:
    """Squared distance to the one-hot target, mean over both outputs: (M, B)."""
    return (output_MB2 - one_hot(parity_MB, output_MB2.dtype)).square().mean(-1)


def training_sequences(config: ParityConfig) -> Tensor:
    """The sequences that train, as nodes of the tree in ascending order: at least one."""
    n = count(config.max_length) - 1
    seed, zero = torch.tensor([config.seed]), torch.tensor([0])
    shuffled = noise.uniform(seed, SPLIT, zero, n)[0].argsort(stable=True)
    kept = max(1, round(config.train_fraction * n))
    return 1 + shuffled[:kept].sort().values


def _batch_sizes(counts: Sequence[int], most: int) -> list[int]:
    """Sizes of the batches of groups of so many sequences: full ones, then what is left."""
    return [int(size) for c in counts for size in np.diff([*range(0, c, most), c])]
