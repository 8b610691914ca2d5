"""How many members of a kind make the best pack on a device: measured, not guessed.

More members keep a device busier until it is full or out of memory. Sizes are doubled, each is
trained for a few steps, and the search stops at the first that is not worth its memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch

from grokmodel.core.config import Config
from grokmodel.core.execution import allow_tf32
from grokmodel.core.family import Family, Inputs

WORTH = 1.05
"""A doubling that brings less than this in member-steps a second is the last."""
MEMORY_SHARE = 0.8
"""Share of the free memory that a pack may take: evaluations and finished members need some."""
STRETCHES, STRETCH = 5, 4
"""Timed stretches of training, and the steps of each."""


@dataclass(frozen=True)
class Measured:
    """What a pack of some size needs."""

    members: int
    seconds: float
    """A step of the whole pack."""
    peak_bytes: int
    """Memory of the device at its peak; 0 on a CPU, where it is not what limits a pack."""

    @property
    def rate(self) -> float:
        """Member-steps a second."""
        return self.members / self.seconds


def best_size(
    measure: Callable[[int], Measured], at_most: int, free_bytes: float = float("inf")
) -> Measured:
    """The size beyond which more members bring nothing, by doubling from 1.

    Args:
        measure: trains a pack of that many members for a few steps.
        free_bytes: memory of the device that nobody else uses.
    """
    best = measure(1)
    while best.members < at_most:
        size = min(2 * best.members, at_most)
        # memory grows no faster than the pack, so a size that is sure to fit is all that is tried
        if best.peak_bytes * size / best.members > MEMORY_SHARE * free_bytes:
            break
        try:
            found = measure(size)
        except torch.OutOfMemoryError:
            break
        if found.rate < best.rate:
            break
        worth_it = found.rate >= WORTH * best.rate
        best = found
        if not worth_it:
            break
    return best


def measure_pack(
    family: Family,
    config: Config,
    inputs: Inputs,
    device: torch.device,
    members: int,
    program: str,
) -> Measured:
    """Seconds and memory of a step of a pack of one config repeated.

    The median of some stretches counts: a burst of whatever else runs on the machine would
    otherwise make a size look worse than a smaller one.
    """
    on_gpu = device.type == "cuda"
    allow_tf32()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    pack = family.fuse([family.member.start(config)] * members, inputs, device, program)
    for _ in range(5):  # a captured step runs as a graph from the fourth on
        pack.step()
    ticks = [synchronized_clock(device)]
    for _ in range(STRETCHES):
        for _ in range(STRETCH):
            pack.step()
        ticks.append(synchronized_clock(device))
    seconds = median(after - before for before, after in pairwise(ticks)) / STRETCH
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else 0
    return Measured(members, seconds, peak)


def synchronized_clock(device: torch.device) -> float:
    """Seconds, after all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
