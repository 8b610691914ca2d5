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

from grokmodel.core import noise, optim
from grokmodel.core.execution import CapturedStep
from grokmodel.core.outcome import Evaluation, outcome, settled
from grokmodel.data.bank import SymbolBank
from grokmodel.data.pairs import Split, result_table, split_pairs
from grokmodel.image import flow
from grokmodel.image.attention import ImageTable
from grokmodel.image.config import TrialConfig
from grokmodel.image.device_bank import Gallery
from grokmodel.image.layers import Params, embed
from grokmodel.image.model import Layout, denoise


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
        """Settled, out of budget, or no longer finite: nothing more will be learned. What a late
        decay or a cool-down brings is not seen by the accuracy that settles: both are waited for.
        """
        if not self.curve:
            return False
        spent = self.step >= self.config.steps
        last_phase = [e for e in self.curve if e.step >= self.config.late_decay_from]
        done = self.config.cooldown == 0 and settled(last_phase)
        return spent or done or not np.isfinite(self.curve[-1].loss)

    @property
    def phase(self) -> str:
        """Phase so far."""
        return outcome(self.curve, self.config.loss).phase if self.curve else "confusion"


BankKey = tuple[str, int, int, int, str]
Banks = Mapping[BankKey, SymbolBank]


def bank_key(config: TrialConfig) -> BankKey:
    """What identifies the image bank of a trial: arguments of `symbols.load_bank`."""
    return (config.data, config.P, config.N, config.side, config.alphabet)


class Pack:
    """Live members on one device. `step()` trains all of them once.

    Args:
        members: trials of one `PackShape`, all at the same number of evaluations or not: each
            member keeps its own step.
        banks: an image bank for the `bank_key` of every member.
        program: how a step is run, one of PROGRAMS: `eager`, kernel by kernel; `graph`, as one CUDA
            graph; `compiled`, the loss compiled by torch, and on a GPU as one graph too.
    """

    def __init__(
        self,
        members: Sequence[Member],
        banks: Banks,
        device: torch.device,
        program: str = "eager",
    ) -> None:
        self.members = list(members)
        self.device = device
        self.shape = members[0].config.shape
        self.layout = Layout(self.shape)
        self.dtype = DTYPES[self.shape.precision]
        self.splits: list[Split] = [split_pairs(m.config) for m in members]
        self._load_images(banks)
        self._load_pairs()
        self._load_rows()
        self._captured: CapturedStep | None = None
        if program == "compiled":
            self._loss = torch.compile(self._loss, dynamic=False)  # type: ignore[method-assign]
        if program != "eager" and device.type == "cuda":
            self._captured = CapturedStep(device)

    # --- data on the device ----------------------------------------------------------------------

    def _load_images(self, banks: Banks) -> None:
        own = [banks[bank_key(m.config)] for m in self.members]
        patch = self.shape.patch
        self.bank = Gallery.load([b.standardized for b in own], patch, self.device)
        self.heldout: Gallery | None = None
        self.single_image = all(m.config.N == 1 for m in self.members)
        if not self.single_image and any(b.heldout.size for b in own):
            held_out = [b.standardized_heldout for b in own]
            self.heldout = Gallery.load(held_out, patch, self.device)
        self.tables = self._image_tables()

    def _image_tables(self) -> Tensor | None:
        """All images of each member, (M, K, C, X), if they are fewer than the rows of a batch.

        With many images a symbol only if it is a view: members of several banks would have copies.
        """
        counts = [m.config.P * m.config.N for m in self.members]
        small = self.single_image or self.bank.is_shared
        return self.bank.of_members(counts) if small and max(counts) <= self.shape.batch else None

    def _load_pairs(self) -> None:
        triplets = [with_results(m.config, s.train) for m, s in zip(self.members, self.splits)]
        self.n_train_M = self._column([len(t) for t in triplets])
        self.train_MT3 = stack_padded(triplets).to(self.device)

    def _load_rows(self) -> None:
        states = [vars(m.state) for m in self.members]
        self.state = optim.OptimState(
            **{name: self._stacked([state[name] for state in states]) for name in states[0]}
        )
        configs = [m.config for m in self.members]
        self.hyper = optim.Hyper(
            **{k: self._column([float(getattr(c, k)) for c in configs]) for k in HYPER_FIELDS}
        )
        self.optimizer = optim.Optimizer(self.state, self.hyper)
        self.seed_M = self._column([c.seed for c in configs])
        self.t_mean_M = self._column([c.t_mean for c in configs])
        self.t_std_M = self._column([c.t_std for c in configs])
        self.t_clip_M = self._column([c.t_clip for c in configs])
        self.t_uniform_M = self._column([c.t_distribution == "uniform" for c in configs])
        self.loss_sum_M = torch.zeros(len(configs), device=self.device)

    def _stacked(self, rows: Sequence[Tensor]) -> Tensor:
        """Rows (1, ...) as one tensor on the device, which never holds them twice."""
        out = rows[0].new_empty((len(rows), *rows[0].shape[1:]), device=self.device)
        for i, row in enumerate(rows):
            out[i] = row[0]
        return out

    def _column(self, values: Sequence[int | float | bool]) -> Tensor:
        return torch.tensor(values, device=self.device)

    # --- one step --------------------------------------------------------------------------------

    def step(self) -> None:
        """Train every member once; adds their losses to `loss_sum_M`."""
        if self._captured is None:
            self._step()
        else:  # handed over at every call: a pack that refers to itself would outlive its use
            self._captured(self._step)

    def close(self) -> None:
        """Free what only further steps would need: the graph and its memory."""
        self._captured = None

    def _step(self) -> None:
        """Draw a batch per member, take the gradient, update."""
        weights = self.state.weights.detach().requires_grad_()
        loss_M = self._loss(weights, self.state.step)
        (grad,) = torch.autograd.grad(loss_M.sum(), weights)
        self.optimizer.update(grad)
        self.loss_sum_M += loss_M.detach()

    def _loss(self, weights_Mn: Tensor, step_M: Tensor) -> Tensor:
        return self.loss(self.params(weights_Mn), step_M)

    def params(self, rows_Mn: Tensor) -> Params:
        """Named parameters from weights or their average, in the precision of the trials."""
        return self.layout.views(rows_Mn.to(self.dtype))

    def loss(self, params: Params, step_M: Tensor) -> Tensor:
        """Training loss of every member on its batch number `step_M`: (M,)."""
        B = self.shape.batch
        triplet_MB3 = self._draw_pairs(step_M, B)
        image_MB3 = self.draw_images(triplet_MB3, noise.TRAIN_IMAGE, step_M)
        x0_MBCX = self.bank.images[image_MB3[..., 2]]
        t_MT = flow.training_times(
            self.seed_M, step_M, self.shape.t_levels, self.t_mean_M, self.t_std_M, self.t_uniform_M
        )
        eps_MBX = noise.normal(self.seed_M, noise.TRAIN_NOISE, step_M, B, x0_MBCX[0, 0].numel())
        x0_MBX = x0_MBCX.flatten(2)
        x_t_MBX = flow.interpolate(x0_MBX, eps_MBX, t_MT)
        operands = self.operands(params, image_MB3[..., :2])
        x0_hat = denoise(params, self.shape, operands, x_t_MBX.view_as(x0_MBCX), t_MT)
        clip = self.t_clip_M if self.shape.loss == "velocity" else None
        return flow.loss_per_member(x0_hat.flatten(2).float(), x0_MBX, t_MT, clip)

    def _draw_pairs(self, step_M: Tensor, rows: int) -> Tensor:
        """Training triplets (a, b, c): (M, rows, 3), one from each of `rows` equal strata."""
        u_MB = noise.uniform(self.seed_M, noise.TRAIN_PAIR, step_M, rows)
        stratum_B = torch.arange(rows, device=self.device)
        index_MB = ((stratum_B + u_MB) * (self.n_train_M[:, None] / rows)).long()
        index_MB = torch.minimum(index_MB, self.n_train_M[:, None] - 1)
        return self.train_MT3.gather(1, index_MB[..., None].expand(-1, -1, 3))

    def draw_images(
        self, classes_MBk: Tensor, stream: int, step_M: Tensor, gallery: Gallery | None = None
    ) -> Tensor:
        """A random image of each class, as rows of a gallery: same shape as `classes_MBk`.

        Args:
            gallery: by default the bank.
        """
        if self.single_image:
            return self.bank.rows(classes_MBk, None)
        M, B, k = classes_MBk.shape
        u_MBk = noise.uniform(self.seed_M, stream, step_M, B * k).view(M, B, k)
        return (gallery or self.bank).rows(classes_MBk, u_MBk)

    def operands(
        self, params: Params, image_MB2: Tensor, gallery: Gallery | None = None
    ) -> Tensor | ImageTable:
        """The operands of a batch, rows of a gallery, in the way that is fastest for `denoise`."""
        if self.tables is None or gallery:
            return self.embed_operands(params, image_MB2, gallery)
        return ImageTable(self.tables, image_MB2 - self.bank.offset_M[:, None, None])

    def embed_operands(
        self, params: Params, image_MB2: Tensor, gallery: Gallery | None = None
    ) -> Tensor:
        """Embedded tokens of both operands, (M, B, 2C, D)."""
        return embed(params, (gallery or self.bank).images[image_MB2]).flatten(2, 3)

    # --- membership ------------------------------------------------------------------------------

    def write_back(self, member: Member) -> None:
        """Copy the live row of `member` into it."""
        i = self.members.index(member)
        row = {k: v[i : i + 1].detach().cpu().clone() for k, v in vars(self.state).items()}
        member.state = optim.OptimState(**row)


PROGRAMS = ("eager", "graph", "compiled")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Data type of activations and matrix products by `precision`."""
HYPER_FIELDS = tuple(optim.Hyper.__dataclass_fields__)


def with_results(config: TrialConfig, pairs: np.ndarray) -> Tensor:
    """Pairs (n, 2) -> triplets (n, 3) with c = a ∘ b."""
    table = result_table(config.op, config.P)
    c = table[pairs[:, 0], pairs[:, 1]]
    return torch.from_numpy(np.concatenate([pairs, c[:, None]], axis=1))


def stack_padded(parts: Sequence[Tensor]) -> Tensor:
    """Tensors (n_i, ...) stacked to (M, max n_i, ...), padded with zeros."""
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
