"""Fused training: M members as one program, from the gradient step to rounds of evaluations.

A `Pack` holds the state of its members with a leading member axis and trains all of them by one
step; what a batch and its loss are, the model says in a subclass. `rounds` is a generator that
yields after every round of evaluations, so that the caller owns tracking and saving. A member stops
by itself when it has settled, when its budget is spent or when its loss is no longer finite;
stopped members leave the pack, which is then stacked anew. Nothing that a member computes depends
on who else is in its pack, but for the floating-point summation order.

Shapes: M members, n parameters of a member.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from grokmodel.core.execution import COMPILED, EAGER, GAVE_UP, GRAPH, CapturedStep, allow_tf32
from grokmodel.core.member import Member, Params
from grokmodel.core.optim import Hyper, Optimizer, OptimState
from grokmodel.core.outcome import Evaluation
from grokmodel.errors import shown

log = logging.getLogger("grok")

RESTACK_AT = {EAGER: 1.0, GRAPH: 0.5, COMPILED: 0.5}
"""Share of live members at which a pack is stacked anew. Where steps are eager another size costs
nothing, so that is as soon as one has stopped; a graph has to be captured anew and a compiled step
compiled anew. Without a GPU there is no graph, and steps are eager."""

M_ = TypeVar("M_", bound=Member[Any])
P_ = TypeVar("P_", bound="Pack[Any]")
Batch = Any
"""What a loss is of besides weights: tensors with a leading member axis, in a tuple if several."""


class Pack(ABC, Generic[M_]):
    """Live members on one device. `step()` trains all of them once.

    Args:
        members: trials that are one program; each keeps its own step.
        mode: how a step is run, one of `execution.MODES`.
    """

    def __init__(self, members: Sequence[M_], device: torch.device, mode: str = EAGER) -> None:
        self.members = list(members)
        self.device = device
        if (mode == GRAPH and device.type != "cuda") or (mode == COMPILED and GAVE_UP.is_set()):
            mode = EAGER
        self.restack_at = RESTACK_AT[mode]
        states = [vars(m.state) for m in self.members]
        self.state = OptimState(
            **{name: self._stacked([state[name] for state in states]) for name in states[0]}
        )
        configs = [m.config for m in self.members]
        self.hyper = Hyper(
            **{name: self.column([float(getattr(c, name)) for c in configs])
               for name in Hyper.__dataclass_fields__}
        )  # fmt: skip
        first = configs[0]
        self.shape = first.shape
        self.layout = self.members[0].layout(first)
        self.optimizer = Optimizer(self.state, self.hyper, first.optimizer, self.layout.matrices)
        self.seed_M = self.column([c.seed for c in configs])
        self.loss_sum_M = torch.zeros(len(configs), device=device)
        self._compiled: Callable[[Tensor, Batch], Tensor] | None = None
        if mode == COMPILED:
            torch.compiler.reset()  # it gives up at the eighth size that a process compiles
            self._compiled = torch.compile(self.loss_on, dynamic=False)
        self._captured: CapturedStep | None = None
        if mode != EAGER and device.type == "cuda":
            self._captured = CapturedStep(device)

    def params(self, rows_Mn: Tensor) -> Params:
        """Named parameters from weights or their average."""
        return self.layout.views(rows_Mn)

    @abstractmethod
    def batch(self, step_M: Tensor) -> Batch:
        """What is drawn for batch number `step_M` of every member."""

    @abstractmethod
    def loss_on(self, weights_Mn: Tensor, batch: Batch) -> Tensor:
        """Loss (M,) of every member on a batch."""

    def loss(self, weights_Mn: Tensor, step_M: Tensor) -> Tensor:
        """Training loss (M,) of every member on its batch number `step_M`."""
        return self.loss_on(weights_Mn, self.batch(step_M))

    def step(self) -> None:
        """Train every member once; adds their losses to `loss_sum_M`."""
        if self._captured is None:
            self._step()
        else:  # handed over at every call: a pack that refers to itself would outlive its use
            self._captured(self._step)

    def _step(self) -> None:
        """Draw a batch per member, take the gradient, update."""
        weights_Mn = self.state.weights.detach().requires_grad_()
        # the batch is drawn outside of what is compiled: random numbers take longer to compile than
        # the model, and gain nothing by it
        loss_M, grad_Mn = self._gradient(weights_Mn, self.batch(self.state.step))
        self.optimizer.update(grad_Mn)
        self.loss_sum_M += loss_M.detach()

    def _gradient(self, weights_Mn: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss (M,) and gradient (M, n) of every member on its batch."""
        if self._compiled is None:
            return gradient(self.loss_on, weights_Mn, batch)
        from torch._dynamo.exc import TorchDynamoException  # two seconds, if nothing is compiled

        try:
            return gradient(self._compiled, weights_Mn, batch)
        except TorchDynamoException as error:
            log.warning("steps cannot be compiled here, they are eager: %s", shown(error))
            GAVE_UP.set()
            self._compiled, self.restack_at = None, RESTACK_AT[EAGER]
            return gradient(self.loss_on, weights_Mn, batch)

    def write_back(self, member: M_) -> None:
        """Copy the live row of `member` into it."""
        i = self.members.index(member)
        row = {k: v[i : i + 1].detach().cpu().clone() for k, v in vars(self.state).items()}
        member.state = OptimState(**row)

    def close(self) -> None:
        """Free what only further steps would need: the graph and its memory, and compiled code,
        which refers to the pack."""
        self._captured = self._compiled = None

    def column(self, values: Sequence[int | float | bool]) -> Tensor:
        """One number per member, (M,) on the device."""
        return torch.tensor(values, device=self.device)

    def _stacked(self, rows: Sequence[Tensor]) -> Tensor:
        """Rows (1, ...) as one tensor on the device, which never holds them twice."""
        out = rows[0].new_empty((len(rows), *rows[0].shape[1:]), device=self.device)
        for i, row in enumerate(rows):
            out[i] = row[0]
        return out


def gradient(
    loss_on: Callable[[Tensor, Batch], Tensor], weights_Mn: Tensor, batch: Batch
) -> tuple[Tensor, Tensor]:
    """Losses (M,) and the gradient (M, n) of each by its own weights."""
    loss_M = loss_on(weights_Mn, batch)
    # members share no weight, so the gradient of the sum holds each member's own
    (grad_Mn,) = torch.autograd.grad(loss_M.sum(), weights_Mn)
    return loss_M, grad_Mn


@dataclass(frozen=True)
class Round(Generic[P_]):
    """What one round of evaluations brought."""

    evaluated: list[Any]
    """Members with a new last entry in their `curve`; finished ones have their final `state`."""
    pack: P_

    def write_back(self) -> None:
        """Bring the `state` of all evaluated members up to date, to save it."""
        for member in self.evaluated:
            if not member.finished:
                self.pack.write_back(member)


def rounds(
    members: Sequence[M_],
    fuse: Callable[[Sequence[M_]], P_],
    evaluate: Callable[[P_, Tensor], list[Evaluation]],
) -> Iterator[Round[P_]]:
    """Train `members`, all of one program, until each has finished; they change in place.

    Args:
        fuse: makes a pack of members.
        evaluate: one evaluation per member of a pack, given its mean training losses (M,).

    Members that were restored resume at their own step. A member without a curve is evaluated
    before its first step, so that every curve begins at step 0.
    """
    allow_tf32()
    live = [m for m in members if not m.finished]
    while live:
        pack = fuse(live)
        fresh = [m for m in live if not m.curve]
        if fresh:
            yield _round(pack, fresh, evaluate, time.perf_counter(), steps=0)
        stacked, every = len(live), live[0].config.eval_every
        while live and not (len(live) < stacked and len(live) <= pack.restack_at * stacked):
            started = time.perf_counter()
            for _ in range(every):
                pack.step()
            yield _round(pack, live, evaluate, started, steps=every)
            live = [m for m in live if not m.finished]
        for member in live:  # the next pack starts from its members' own rows
            pack.write_back(member)
        pack.close()


def _round(
    pack: P_,
    members: list[Any],
    evaluate: Callable[[P_, Tensor], list[Evaluation]],
    started: float,
    steps: int,
) -> Round[P_]:
    """Evaluate the pack after `steps` steps and append to the curves of `members`."""
    if steps:
        losses_M = pack.loss_sum_M / steps
    else:  # before the first step, the loss on the batch that comes
        with torch.no_grad():
            losses_M = pack.loss(pack.state.weights, pack.state.step)
    evaluations = evaluate(pack, losses_M)
    pack.loss_sum_M.zero_()
    seconds = (time.perf_counter() - started) / len(members)
    for member, evaluation in zip(pack.members, evaluations, strict=True):
        if member in members:
            member.curve.append(evaluation)
            member.wall_s += seconds
            if member.finished:
                pack.write_back(member)
    return Round(list(members), pack)
