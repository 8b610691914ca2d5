"""A pack of the image model: its images and pairs on the device, and the loss of a batch.

What differs between members (P, N, pairs, seed, hyper-parameters) is data with a leading member
axis; what is equal (`PackShape`) is the program.

Shapes: M members, B triplets, K distinct images of a member, C tokens per image, X pixels per
token, n parameters of a member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from grokmodel.core import member as core_member
from grokmodel.core import noise, training
from grokmodel.core.execution import EAGER
from grokmodel.core.member import Params
from grokmodel.data.bank import SymbolBank
from grokmodel.data.pairs import Split, result_table, split_pairs
from grokmodel.diffusion import flow
from grokmodel.image.attention import ImageTable
from grokmodel.image.config import TrialConfig
from grokmodel.image.device_bank import DeviceBank
from grokmodel.image.layers import embed
from grokmodel.image.model import Layout, denoise

DIVERGENCE_RATIO = {"x0": 1.1, "velocity": 5.0}
"""Loss -> `divergence_ratio`. The first loss is measured on one batch; in the velocity loss few
small t weigh much, and one batch may lie at a third of the mean."""


class Member(core_member.Member[TrialConfig]):
    """One trial of the image model in training."""

    config_class = TrialConfig
    layout_class = Layout

    @staticmethod
    def initial_weights(config: TrialConfig) -> Tensor:
        return Layout(config.shape).init(config.seed, config.init_scale, config.zero_output)

    @property
    def divergence_ratio(self) -> float:
        return DIVERGENCE_RATIO[self.config.loss]


BankKey = tuple[str, int, int, int, str, str]
Banks = Mapping[BankKey, SymbolBank]


def bank_key(config: TrialConfig) -> BankKey:
    """What identifies the image bank of a trial: arguments of `load.load_bank`."""
    c = config
    return (c.data, c.P, c.N, c.side, c.alphabet, c.images_hash)


class Pack(training.Pack[Member]):
    """Live members on one device, and their images and pairs.

    Args:
        members: trials of one `PackShape`; each keeps its own step.
        banks: an image bank for the `bank_key` of every member.
        mode: how a step is run, one of `execution.MODES`.
    """

    def __init__(
        self,
        members: Sequence[Member],
        banks: Banks,
        device: torch.device,
        mode: str = EAGER,
    ) -> None:
        super().__init__(members, device, mode)
        self.dtype = DTYPES[self.shape.precision]
        self.splits: list[Split] = [split_pairs(m.config) for m in members]
        self._load_images(banks)
        self._load_pairs()
        configs = [m.config for m in self.members]
        self.t_mean_M = self.column([c.t_mean for c in configs])
        self.t_std_M = self.column([c.t_std for c in configs])
        self.t_clip_M = self.column([c.t_clip for c in configs])
        self.t_uniform_M = self.column([c.t_distribution == "uniform" for c in configs])

    # --- data on the device ----------------------------------------------------------------------

    def _load_images(self, banks: Banks) -> None:
        own = [banks[bank_key(m.config)] for m in self.members]
        patch = self.shape.patch
        self.bank = DeviceBank.load([b.standardized for b in own], patch, self.device)
        self.heldout: DeviceBank | None = None
        self.single_image = all(m.config.N == 1 for m in self.members)
        if not self.single_image and any(b.heldout.size for b in own):
            held_out = [b.standardized_heldout for b in own]
            self.heldout = DeviceBank.load(held_out, patch, self.device)
        self.tables = self._image_tables()

    def _image_tables(self) -> Tensor | None:
        """All images of each member, (M, K, C, X), if they are fewer than the rows of a batch.

        With many images per symbol only if it is a view: members of several banks have copies.
        """
        counts = [m.config.P * m.config.N for m in self.members]
        small = self.single_image or self.bank.is_shared
        return self.bank.of_members(counts) if small and max(counts) <= self.shape.batch else None

    def _load_pairs(self) -> None:
        triplets = [with_results(m.config, s.train) for m, s in zip(self.members, self.splits)]
        self.n_train_M = self.column([len(t) for t in triplets])
        self.train_MT3 = stack_padded(triplets).to(self.device)

    # --- one step --------------------------------------------------------------------------------

    def params(self, rows_Mn: Tensor) -> Params:
        """Named parameters from weights or their average, in the precision of the trials."""
        return self.layout.views(rows_Mn.to(self.dtype))

    def batch(self, step_M: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Operands (M, B, 2) as rows of the bank, images of results (M, B, X), the same with noise
        (M, B, C, X / C), and the noise levels of the batch (M, T)."""
        B = self.shape.batch
        triplet_MB3 = self._draw_pairs(step_M, B)
        image_MB3 = self.draw_images(triplet_MB3, noise.TRAIN_IMAGE, step_M)
        x0_MBCX = self.bank.images[image_MB3[..., 2]]
        u_MT = noise.uniform(self.seed_M, noise.TRAIN_TIME, step_M, self.shape.t_levels)
        t_MT = flow.training_times(u_MT, self.t_mean_M, self.t_std_M, self.t_uniform_M)
        eps_MBX = noise.normal(self.seed_M, noise.TRAIN_NOISE, step_M, B, x0_MBCX[0, 0].numel())
        x0_MBX = x0_MBCX.flatten(2)
        x_t_MBX = flow.interpolate(x0_MBX, eps_MBX, t_MT)
        return image_MB3[..., :2], x0_MBX, x_t_MBX.view_as(x0_MBCX), t_MT

    def loss_on(self, weights_Mn: Tensor, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """Mean squared error of the denoised image, or of the velocity: (M,)."""
        image_MB2, x0_MBX, x_t_MBCX, t_MT = batch
        params = self.params(weights_Mn)
        operands = self.operands(params, image_MB2)
        x0_hat = denoise(params, self.shape, operands, x_t_MBCX, t_MT)
        clip = self.t_clip_M if self.shape.loss == "velocity" else None
        return flow.loss_per_member(x0_hat.flatten(2).float(), x0_MBX, t_MT, clip)

    def _draw_pairs(self, step_M: Tensor, rows: int) -> Tensor:
        """Training triplets (a, b, c): (M, rows, 3), one from each of `rows` equal strata."""
        u_MB = noise.uniform(self.seed_M, noise.TRAIN_PAIR, step_M, rows)
        stratum_B = torch.arange(rows, device=self.device)
        index_MB = ((stratum_B + u_MB) * (self.n_train_M[:, None] / rows)).long()
        index_MB = torch.minimum(index_MB, self.n_train_M[:, None] - 1)
        return self.train_MT3.gather(1, index_MB[..., None].expand(-1, -1, 3))

    def images_of(self, i: int) -> Tensor:
        """(P * N, C, X) the images of member i, class after class."""
        first, config = int(self.bank.offset_M[i]), self.members[i].config
        return self.bank.images[first : first + config.P * config.N]

    def draw_images(
        self,
        classes_MBk: Tensor,
        stream: int,
        step_M: Tensor,
        device_bank: DeviceBank | None = None,
    ) -> Tensor:
        """A random image of each class, as rows of a device bank: same shape as `classes_MBk`.

        Args:
            device_bank: by default the bank.
        """
        if self.single_image:
            return self.bank.rows(classes_MBk, None)
        M, B, k = classes_MBk.shape
        u_MBk = noise.uniform(self.seed_M, stream, step_M, B * k).view(M, B, k)
        return (device_bank or self.bank).rows(classes_MBk, u_MBk)

    def operands(
        self, params: Params, image_MB2: Tensor, device_bank: DeviceBank | None = None
    ) -> Tensor | ImageTable:
        """The operands of a batch, rows of a bank, in the way that is fastest for `denoise`."""
        if self.tables is None or device_bank:
            return self.embed_operands(params, image_MB2, device_bank)
        return ImageTable(self.tables, image_MB2 - self.bank.offset_M[:, None, None])

    def embed_operands(
        self, params: Params, image_MB2: Tensor, device_bank: DeviceBank | None = None
    ) -> Tensor:
        """Embedded tokens of both operands, (M, B, 2C, D)."""
        return embed(params, (device_bank or self.bank).images[image_MB2]).flatten(2, 3)


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Data type of activations and matrix products by `precision`."""


def with_results(config: TrialConfig, pairs: np.ndarray) -> Tensor:
    """Pairs (n, 2) -> triplets (n, 3) with c = a ∘ b."""
    table = result_table(config.op, config.P)
    c = table[pairs[:, 0], pairs[:, 1]]
    return torch.from_numpy(np.concatenate([pairs, c[:, None]], axis=1))


def stack_padded(parts: Sequence[Tensor]) -> Tensor:
    """Tensors (n_i, ...) stacked to (M, max n_i, ...), padded with zeros."""
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
