"""Train a pack: a generator that yields after every round of evaluations.

The caller owns tracking and saving. A member stops by itself when it has settled, when its budget
is spent or when its loss is no longer finite; stopped members leave the pack, which is then
re-stacked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from grokmodel.core.execution import allow_tf32
from grokmodel.image.evaluate import Decoders, evaluate
from grokmodel.image.pack import Banks, Member, Pack

RESTACK_ON_GPU = 0.5
"""Share of live members at which a GPU pack is re-stacked: small members cost it little there. On a
CPU every member costs its full time, so a pack is re-stacked as soon as one has stopped."""


def default_program(device: torch.device) -> str:
    """A step as one CUDA graph on a GPU, kernel by kernel on a CPU."""
    return "graph" if device.type == "cuda" else "eager"


@dataclass(frozen=True)
class Round:
    """What one round of evaluations brought."""

    evaluated: list[Member]
    """Members with a new last entry in their `curve`; finished ones have their final `state`."""
    pack: Pack

    def write_back(self) -> None:
        """Bring the `state` of all evaluated members up to date, to save it."""
        for member in self.evaluated:
            if not member.finished:
                self.pack.write_back(member)


def train(
    members: Sequence[Member],
    banks: Banks,
    decoders: Decoders,
    device: torch.device,
    program: str | None = None,
) -> Iterator[Round]:
    """Train `members`, all of one PackShape, until each has finished; they change in place.

    Args:
        program: how steps are run, one of `pack.PROGRAMS`; by default `graph` on a GPU.

    Members that were restored go on from their own step. A member without a curve is evaluated
    before its first step, so that every curve begins at step 0.
    """
    program = program or default_program(device)
    allow_tf32()
    live = [m for m in members if not m.finished]
    keep = RESTACK_ON_GPU if device.type == "cuda" else 1.0
    while live:
        pack = Pack(live, banks, device, program)
        fresh = [m for m in live if not m.curve]
        if fresh:
            yield _round(pack, fresh, banks, decoders, time.perf_counter(), at_start=True)
        stacked = len(live)
        while live and not (len(live) < stacked and len(live) <= keep * stacked):
            started = time.perf_counter()
            for _ in range(pack.shape.eval_every):
                pack.step()
            yield _round(pack, live, banks, decoders, started)
            live = [m for m in live if not m.finished]
        for member in live:  # the next pack starts from its members' own rows
            pack.write_back(member)
        pack.close()


def _round(
    pack: Pack,
    members: list[Member],
    banks: Banks,
    decoders: Decoders,
    started: float,
    at_start: bool = False,
) -> Round:
    """Evaluate the pack and append to the curves of `members`."""
    if at_start:
        with torch.no_grad():
            losses = pack.loss(pack.params(pack.state.weights), pack.state.step)
    else:
        losses = pack.loss_sum_M / pack.shape.eval_every
    evaluations = evaluate(pack, decoders, banks, losses)
    pack.loss_sum_M.zero_()
    seconds = (time.perf_counter() - started) / len(members)
    for member, evaluation in zip(pack.members, evaluations, strict=True):
        if member in members:
            member.curve.append(evaluation)
            member.wall_s += seconds
            if member.finished:
                pack.write_back(member)
    return Round(list(members), pack)
