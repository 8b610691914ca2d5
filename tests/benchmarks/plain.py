"""The model as one would write it for a single trial: the yardstick of the benchmarks.

The network is `tests.grokmodel.reference.Reference`: nn.Linear, scaled_dot_product_attention, every
token through every block, a noise level t for every row. Training is torch.optim.AdamW, an averaged
copy of the weights by torch.optim.swa_utils, and torch's own random numbers; images lie on the
device and are gathered by index, as in a pack.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from grokmodel.core.optim import EPS, Optimizer
from grokmodel.data.bank import SymbolBank
from grokmodel.data.pairs import result_table, split_pairs
from grokmodel.image.config import TrialConfig
from tests.grokmodel.reference import Reference


def random_bank(c: TrialConfig) -> SymbolBank:
    """Images that need no files and no fonts; speed does not depend on what they show."""
    images = np.random.default_rng(0).random((c.P, c.N, c.side, c.side), dtype=np.float32)
    return SymbolBank(images, images, images, tuple(map(str, range(c.P))))


class PlainTrial:
    """One trial in training, without members, levels, tables or counters."""

    def __init__(self, config: TrialConfig, bank: SymbolBank, device: torch.device) -> None:
        if config.N != 1:
            raise ValueError(f"N = {config.N}: the yardstick is written for N = 1")
        self.config, self.device = config, device
        self.split = split_pairs(config)
        table = torch.from_numpy(result_table(config.op, config.P))
        self.table = table.to(device)
        self.images = torch.from_numpy(bank.standardized[:, 0]).to(device)
        self.pairs = torch.from_numpy(self.split.train).to(device)
        torch.manual_seed(config.seed)
        self.model = Reference(config.shape).to(device)
        self.model.position.data.normal_(0, 0.02)
        self.average = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=False
        )
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
        )

    def step(self) -> torch.Tensor:
        """One training step; returns the loss."""
        c = self.config
        a, b = self.pairs[torch.randint(len(self.pairs), (c.batch,), device=self.device)].T
        x0 = self.images[self.table[a, b]]
        t = torch.sigmoid(c.t_mean + c.t_std * torch.randn(c.batch, device=self.device))
        x_t = torch.lerp(x0, torch.randn_like(x0), t[:, None, None])
        loss = (self.model(self.images[a], self.images[b], x_t, t) - x0).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average.update_parameters(self.model)
        return loss.detach()

    @torch.no_grad()
    def accuracy(self, pairs: torch.Tensor) -> float:
        """Share of samples that decode to the right class, by `sample_steps` Euler steps."""
        a, b = pairs.to(self.device).T
        x = torch.randn(len(a), *self.images.shape[1:], device=self.device)
        for k in range(self.config.sample_steps, 0, -1):
            t = x.new_full((len(a),), k / self.config.sample_steps)
            x = torch.lerp(x, self.average(self.images[a], self.images[b], x, t), 1 / k)
        found = torch.cdist(x.flatten(1), self.images.flatten(1)).argmin(1)
        return float((found == self.table[a, b]).float().mean())


class OpByOp(Optimizer):
    """AdamW in elementwise operations over the whole matrix of weights."""

    @torch.no_grad()
    def update(self, grad: Tensor) -> None:
        state, hyper = self.state, self.hyper
        state.step += 1
        step_M = state.step.float()
        lr_M = hyper.lr * (step_M / hyper.warmup.clamp(min=1.0)).clamp(max=1.0)
        state.first.lerp_(grad, (1 - hyper.beta1)[:, None])
        state.second.lerp_(grad * grad, (1 - hyper.beta2)[:, None])
        root = state.second.sqrt().mul_((1 - hyper.beta2**step_M).rsqrt()[:, None]).add_(EPS)
        state.weights.mul_((1 - lr_M * hyper.weight_decay)[:, None])
        rate_M = lr_M / (1 - hyper.beta1**step_M)
        state.weights.addcmul_(state.first / root, rate_M[:, None], value=-1.0)
        decay_M = torch.minimum(hyper.ema, step_M / (step_M + 10))
        state.average.lerp_(state.weights, (1 - decay_M)[:, None])
