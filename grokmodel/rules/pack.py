"""A pack of models of rule-valid images: their images on the device, and the loss of a batch.

What differs between members (rule, training images, seed, learning rate, decay) is data with a
leading member axis; what is equal (`RulesShape`) is the program.

Shapes: M members, B images of a batch, N training images of the member that has most, Q held-out
images, X pixels, n parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from grokmodel.core import member as core_member
from grokmodel.core import noise, training
from grokmodel.core.execution import EAGER
from grokmodel.core.outcome import SETTLED_FOR, Evaluation, first_lasting
from grokmodel.diffusion import flow
from grokmodel.rules.config import FLOW, PIXELS, RulesConfig
from grokmodel.rules.images import signs, valid_images
from grokmodel.rules.model import Layout, denoise, next_logits

IMAGE, TIME, NOISE, VAL_NOISE, SAMPLE = 1, 2, 3, 4, 5
"""Streams of noise of this model."""
HELD_OUT = 256
"""Valid images that do not train, for the validation loss."""
COPIED = 0.8
"""Share of copies among samples at which a trial whose samples are valid has settled, if it is so
for SETTLED_FOR evaluations in a row."""


class Member(core_member.Member[RulesConfig]):
    """One trial on rule-valid images in training."""

    config_class = RulesConfig
    layout_class = Layout
    divergence_ratio = 5.0

    @staticmethod
    def initial_weights(config: RulesConfig) -> Tensor:
        return Layout(config.shape).init(config.seed, config.init_scale)

    def settled(self, curve: Sequence[Evaluation]) -> bool:
        """Most samples are copies: the rule alone would not do, as memory comes after it."""
        tail = curve[-SETTLED_FOR:]
        is_copied = len(tail) == SETTLED_FOR and all(e.mem_share >= COPIED for e in tail)
        return is_copied and first_lasting(curve, "train_acc") is not None


class Pack(training.Pack[Member]):
    """Live members on one device, and their images.

    Args:
        members: trials of one `RulesShape`; each keeps its own step.
        mode: how a step is run, one of `execution.MODES`.
    """

    def __init__(self, members: Sequence[Member], device: torch.device, mode: str = EAGER) -> None:
        super().__init__(members, device, mode)
        splits = [split_images(m.config) for m in self.members]
        self.train = [train for train, _ in splits]
        trains = [torch.from_numpy(signs(t)) for t in self.train]
        self.train_MNX = pad_sequence(trains, batch_first=True).to(device)
        self.count_M1 = self.column([len(t) for t in trains])[:, None]
        configs = [m.config for m in self.members]
        self.t_mean_M = self.column([c.t_mean for c in configs])
        self.t_std_M = self.column([c.t_std for c in configs])
        self.t_uniform_M = self.column([False for _ in configs])
        self.val_MQX = torch.from_numpy(np.stack([signs(val) for _, val in splits])).to(device)

    def batch(self, step_M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training images (M, B, X) of the batch that comes after so many steps; shares (M, B) of
        the noise levels of training that are lower than each one's; noise (M, B, X)."""
        B = self.shape.batch
        index_MB = (noise.uniform(self.seed_M, IMAGE, step_M, B) * self.count_M1).long()
        x_MBX = self.train_MNX.gather(1, index_MB[..., None].expand(-1, -1, PIXELS))
        u_MB = noise.uniform(self.seed_M, TIME, step_M, B)
        return x_MBX, u_MB, noise.normal(self.seed_M, NOISE, step_M, B, PIXELS)

    def held_out_loss(self, weights_Mn: Tensor) -> Tensor:
        """Loss (M,) on valid images that do not train; of a flow at evenly spread noise levels and
        always the same noise."""
        Q = self.val_MQX.shape[1]
        u_MQ = (torch.arange(Q, device=self.device) + 0.5).expand(len(self.members), Q) / Q
        noise_MQX = noise.normal(self.seed_M, VAL_NOISE, torch.zeros_like(self.seed_M), Q, PIXELS)
        return self.loss_on(weights_Mn, (self.val_MQX, u_MQ, noise_MQX))

    def loss_on(self, weights_Mn: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Mean loss (M,) on images: of a flow, squared error of x0_hat; else cross-entropy per
        pixel, which has no use for noise."""
        x_MBX, u_MB, noise_MBX = batch
        p = self.params(weights_Mn)
        if self.shape.model != FLOW:
            bits_MBX = (x_MBX > 0).to(x_MBX.dtype)
            logits_MBX = next_logits(p, self.shape, bits_MBX)
            each = F.binary_cross_entropy_with_logits(logits_MBX, bits_MBX, reduction="none")
            return each.mean((1, 2))
        t_MB = flow.training_times(u_MB, self.t_mean_M, self.t_std_M, self.t_uniform_M)
        x_t_MBX = flow.interpolate(x_MBX, noise_MBX, t_MB)
        return flow.loss_per_member(denoise(p, self.shape, x_t_MBX, t_MB), x_MBX, t_MB, None)


def split_images(config: RulesConfig) -> tuple[np.ndarray, np.ndarray]:
    """Training images (N, X) and held-out ones (Q, X), all different: a function of the config."""
    generator = np.random.default_rng(config.seed)
    both = valid_images(config.group_size, config.images + HELD_OUT, generator)
    return both[: config.images], both[config.images :]
