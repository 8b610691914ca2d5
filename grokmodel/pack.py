"""A pack: the live members of one fused program, their data on the device, and one training step.

What differs between members (P, N, pairs, seed, hyper-parameters) is data with a leading member
axis; what is equal (`PackShape`) is the program. Nothing here depends on who the pack-mates are.

Shapes: M members, B triplets, K distinct images of a member, C tokens an image, X pixels a token,
n parameters of a member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from grokmodel import flow, noise, optim
from grokmodel.config import TrialConfig
from grokmodel.model import Layout, Params, denoise, embed, patchify
from grokmodel.outcome import Evaluation, outcome, settled
from grokmodel.symbols import SymbolBank
from grokmodel.task import Split, result_table, split_pairs


@dataclass(eq=False)
class Member:
    """One trial in training: everything that resuming it needs."""

    config: TrialConfig
    state: optim.OptimState
    """Rows of shape (1, n) on the CPU; stale while the member is live in a pack."""
    curve: list[Evaluation] = field(default_factory=list)
    wall_s: float = 0.0
    """Seconds of its packs' time that fell to this member."""

    @classmethod
    def start(cls, config: TrialConfig) -> Member:
        weights = Layout(config.shape).init(config.seed, config.init_scale)
        return cls(config, optim.OptimState.start(weights[None]))

    @property
    def step(self) -> int:
        return self.curve[-1].step if self.curve else 0

    @property
    def finished(self) -> bool:
        """Settled, out of budget, or no longer finite: nothing more will be learned."""
        if not self.curve:
            return False
        spent = self.step >= self.config.steps
        return spent or settled(self.curve) or not np.isfinite(self.curve[-1].loss)

    @property
    def phase(self) -> str:
        """Phase so far."""
        return outcome(self.curve).phase if self.curve else "confusion"


BankKey = tuple[str, int, int, int]
Banks = Mapping[BankKey, SymbolBank]


def bank_key(config: TrialConfig) -> BankKey:
    """What identifies the image bank of a trial."""
    return (config.data, config.P, config.N, config.side)


class Pack:
    """Live members on one device. `step()` trains all of them once.

    Args:
        members: trials of one `PackShape`, all at the same number of evaluations or not: each
            member keeps its own step.
        banks: an image bank for the `bank_key` of every member.
    """

    def __init__(self, members: Sequence[Member], banks: Banks, device: torch.device) -> None:
        self.members = list(members)
        self.device = device
        self.shape = members[0].config.shape
        self.layout = Layout(self.shape)
        self.splits: list[Split] = [split_pairs(m.config) for m in members]
        self._load_images(banks)
        self._load_pairs()
        self._load_rows()

    # --- data on the device ----------------------------------------------------------------------

    def _load_images(self, banks: Banks) -> None:
        """One copy of every distinct bank, whatever the number of members that use it."""
        offsets: dict[BankKey, int] = {}
        parts: list[Tensor] = []
        total = 0
        for member in self.members:
            key = bank_key(member.config)
            if key not in offsets:
                images = torch.from_numpy(banks[key].standardized()).flatten(0, 1)
                offsets[key] = total
                parts.append(patchify(images, self.shape.patch))
                total += len(images)
        self.images = torch.cat(parts).to(self.device)
        self.offset_M = self._column([offsets[bank_key(m.config)] for m in self.members])
        self.P_M = self._column([m.config.P for m in self.members])
        self.N_M = self._column([m.config.N for m in self.members])
        self.single_image = all(m.config.N == 1 for m in self.members)

    def _load_pairs(self) -> None:
        triplets = [with_results(m.config, s.train) for m, s in zip(self.members, self.splits)]
        self.n_train_M = self._column([len(t) for t in triplets])
        self.train_MT3 = stack_padded(triplets).to(self.device)

    def _load_rows(self) -> None:
        rows = [m.state for m in self.members]
        gather = {name: torch.cat([vars(r)[name] for r in rows]) for name in vars(rows[0])}
        self.state = optim.OptimState(**{k: v.to(self.device) for k, v in gather.items()})
        configs = [m.config for m in self.members]
        self.hyper = optim.Hyper(
            **{k: self._column([float(getattr(c, k)) for c in configs]) for k in HYPER_FIELDS}
        )
        self.seed_M = self._column([c.seed for c in configs])
        self.t_mean_M = self._column([c.t_mean for c in configs])
        self.t_std_M = self._column([c.t_std for c in configs])
        self.t_clip_M = self._column([c.t_clip for c in configs])
        self.t_uniform_M = self._column([c.t_distribution == "uniform" for c in configs])
        self.loss_sum_M = torch.zeros(len(configs), device=self.device)

    def _column(self, values: Sequence[int | float | bool]) -> Tensor:
        return torch.tensor(values, device=self.device)

    # --- one step --------------------------------------------------------------------------------

    def step(self) -> None:
        """Draw a batch per member, take the gradient, update; adds the loss to `loss_sum_M`."""
        leaves = [
            v.detach().requires_grad_() for v in self.layout.views(self.state.weights).values()
        ]
        params = dict(zip(self.layout.entries, leaves))
        loss_M = self.loss(params, self.state.step)
        grads = torch.autograd.grad(loss_M.sum(), leaves)
        optim.update(self.state, self.layout.join(grads), self.hyper)
        self.loss_sum_M += loss_M.detach()

    def loss(self, params: Params, step_M: Tensor) -> Tensor:
        """Training loss of every member on its batch number `step_M`: (M,)."""
        B = self.shape.batch
        triplet_MB3 = self._draw_pairs(step_M, B)
        image_MB3 = self.draw_images(triplet_MB3, noise.TRAIN_IMAGE, step_M)
        x0_MBCX = self.images[image_MB3[..., 2]]
        t_MT = flow.training_times(
            self.seed_M, step_M, self.shape.t_levels, self.t_mean_M, self.t_std_M, self.t_uniform_M
        )
        eps_MBX = noise.normal(self.seed_M, noise.TRAIN_NOISE, step_M, B, x0_MBCX[0, 0].numel())
        x0_MBX = x0_MBCX.flatten(2)
        x_t_MBX = flow.interpolate(x0_MBX, eps_MBX, t_MT)
        operands = self.embed_operands(params, image_MB3[..., :2])
        x0_hat = denoise(params, self.shape, operands, x_t_MBX.view_as(x0_MBCX), t_MT)
        clip = self.t_clip_M if self.shape.loss == "velocity" else None
        return flow.loss_per_member(x0_hat.flatten(2), x0_MBX, t_MT, clip)

    def _draw_pairs(self, step_M: Tensor, rows: int) -> Tensor:
        """Training triplets (a, b, c): (M, rows, 3), one from each of `rows` equal strata."""
        u_MB = noise.uniform(self.seed_M, noise.TRAIN_PAIR, step_M, rows)
        stratum_B = torch.arange(rows, device=self.device)
        index_MB = ((stratum_B + u_MB) * (self.n_train_M[:, None] / rows)).long()
        index_MB = torch.minimum(index_MB, self.n_train_M[:, None] - 1)
        return self.train_MT3.gather(1, index_MB[..., None].expand(-1, -1, 3))

    def draw_images(self, classes_MBk: Tensor, stream: int, step_M: Tensor) -> Tensor:
        """A random image of each class, as rows of `images`: same shape as `classes_MBk`."""
        base_MBk = self.offset_M[:, None, None] + classes_MBk * self.N_M[:, None, None]
        if self.single_image:
            return base_MBk
        M, B, k = classes_MBk.shape
        u_MBk = noise.uniform(self.seed_M, stream, step_M, B * k).view(M, B, k)
        return base_MBk + (u_MBk * self.N_M[:, None, None]).long()

    def embed_operands(self, params: Params, image_MB2: Tensor) -> Tensor:
        """Embedded tokens of both operands, (M, B, 2C, D).

        With one image a symbol there are fewer distinct images than operands: each is embedded once
        and the rows are gathered, which is exact.
        """
        M, B, _ = image_MB2.shape
        if not self.single_image:
            return embed(params, self.images[image_MB2]).flatten(2, 3)
        K = int(self.P_M.max())
        row_MK = torch.arange(K, device=self.device) + self.offset_M[:, None]
        rows_MKCD = embed(params, self.images[row_MK.clamp(max=len(self.images) - 1)])
        start_M = K * torch.arange(M, device=self.device)
        flat = (image_MB2 - self.offset_M[:, None, None] + start_M[:, None, None]).flatten()
        return rows_MKCD.flatten(0, 1).index_select(0, flat).view(M, B, -1, self.shape.width)

    # --- membership ------------------------------------------------------------------------------

    def write_back(self, member: Member) -> None:
        """Copy the live row of `member` into it."""
        i = self.members.index(member)
        row = {k: v[i : i + 1].detach().cpu().clone() for k, v in vars(self.state).items()}
        member.state = optim.OptimState(**row)


HYPER_FIELDS = ("lr", "warmup", "weight_decay", "beta1", "beta2", "ema")


def with_results(config: TrialConfig, pairs: np.ndarray) -> Tensor:
    """Pairs (n, 2) -> triplets (n, 3) with c = a ∘ b."""
    table = result_table(config.op, config.P)
    c = table[pairs[:, 0], pairs[:, 1]]
    return torch.from_numpy(np.concatenate([pairs, c[:, None]], axis=1))


def stack_padded(parts: Sequence[Tensor]) -> Tensor:
    """Tensors (n_i, ...) stacked to (M, max n_i, ...), padded with zeros."""
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
