"""The model as one would write it for a single trial: the yardstick of the benchmarks.

The network is `tests.grokmodel.reference.Reference`: nn.Linear, scaled_dot_product_attention, every
token through every block, a noise level t for every row. Training is torch.optim.AdamW, an averaged
copy of the weights by torch.optim.swa_utils, and torch's own random numbers; images lie on the
device and are gathered by index, as in a pack.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from grokmodel.core.execution import CapturedStep
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
        a, b, x0, x_t, t = self.batch()
        loss = (self.model(a, b, x_t, t) - x0).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average.update_parameters(self.model)
        return loss.detach()

    def batch(self) -> tuple[Tensor, ...]:
        """Images a and b, result, noisy result, noise level of every row."""
        c = self.config
        a, b = self.pairs[torch.randint(len(self.pairs), (c.batch,), device=self.device)].T
        x0 = self.images[self.table[a, b]]
        t = torch.sigmoid(c.t_mean + c.t_std * torch.randn(c.batch, device=self.device))
        x_t = torch.lerp(x0, torch.randn_like(x0), t[:, None, None])
        return self.images[a], self.images[b], x0, x_t, t

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


class CompiledTrial(PlainTrial):
    """The best of a single model without code of one's own: forward and backward compiled, the
    optimizer fused."""

    def __init__(self, config: TrialConfig, bank: SymbolBank, device: torch.device) -> None:
        super().__init__(config, bank, device)
        self.optimizer = fused_adamw(self.model.parameters(), config)
        self.model.compile(dynamic=False)


class GraphTrial(PlainTrial):
    """A single model on a GPU whose whole step is one CUDA graph."""

    def __init__(self, config: TrialConfig, bank: SymbolBank, device: torch.device) -> None:
        super().__init__(config, bank, device)
        self.optimizer = fused_adamw(self.model.parameters(), config, capturable=True)
        self.captured = CapturedStep(device)

    def step(self) -> torch.Tensor:
        self.captured(self._step)
        return torch.zeros(())

    def _step(self) -> None:
        a, b, x0, x_t, t = self.batch()
        loss = (self.model(a, b, x_t, t) - x0).square().mean()
        grads = torch.autograd.grad(loss, list(self.model.parameters()))
        for p, grad in zip(self.model.parameters(), grads, strict=True):
            p.grad = grad
        self.optimizer.step()
        averages, weights = list(self.average.module.parameters()), list(self.model.parameters())
        torch._foreach_lerp_([p.data for p in averages], [p.data for p in weights],
                             1 - self.config.ema)  # fmt: skip


class VmapTrials:
    """M trials by `torch.func.vmap` over the plain model, as libraries for ensembles do it, with
    one fused optimizer for all.

    Args:
        library: by `modelbatch.ModelBatch`, which calls vmap itself.
    """

    def __init__(
        self, config: TrialConfig, bank: SymbolBank, device: torch.device, members: int,
        library: bool = False,
    ) -> None:  # fmt: skip
        self.config = config
        self.trials = [PlainTrial(config, bank, device) for _ in range(members)]
        models = [trial.model for trial in self.trials]
        if library:
            from modelbatch import ModelBatch  # pip install modelbatch

            batch = ModelBatch([OneInput(model) for model in models], shared_input=False)
            self.params = batch.stacked_params
            self.batched = lambda *inputs: batch(packed(*inputs))
        else:
            self.params, buffers = torch.func.stack_module_state(models)
            base = models[0]

            def forward(params: dict[str, Tensor], *inputs: Tensor) -> Tensor:
                return torch.func.functional_call(base, (params, buffers), inputs)  # type: ignore[no-any-return]

            self.batched = lambda *inputs: torch.func.vmap(forward)(self.params, *inputs)
        self.average = [p.detach().clone() for p in self.params.values()]
        self.optimizer = fused_adamw(self.params.values(), config)

    def step(self) -> torch.Tensor:
        a, b, x0, x_t, t = map(torch.stack, zip(*(trial.batch() for trial in self.trials)))
        loss = (self.batched(a, b, x_t, t) - x0).square().mean((1, 2, 3)).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        weights = [p.detach() for p in self.params.values()]
        torch._foreach_lerp_(self.average, weights, 1 - self.config.ema)
        return loss.detach()


class OneInput(torch.nn.Module):
    """The plain model for who hands a model one tensor."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, packed: Tensor) -> Tensor:
        a, b, x_t, level = packed.unbind(-3)
        return self.model(a, b, x_t, level[..., 0, 0])  # type: ignore[no-any-return]


def packed(a: Tensor, b: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """Images (..., S, S) and their levels (...) as one tensor (..., 4, S, S)."""
    return torch.stack([a, b, x_t, t[..., None, None].expand_as(a)], dim=-3)


def fused_adamw(
    params: Iterable[Tensor], c: TrialConfig, capturable: bool = False
) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        params, lr=c.lr, betas=(c.beta1, c.beta2), weight_decay=c.weight_decay, fused=True,
        capturable=capturable,
    )  # fmt: skip


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
