"""One row of the table of `fused_training.py`: what is measured of a pack, or of what others do.

Needs torch and numpy alone.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from grokmodel.core.execution import COMPILED, GAVE_UP, allow_tf32
from grokmodel.core.pack_size import synchronized_clock
from grokmodel.image.config import TrialConfig
from grokmodel.image.pack import Member, Pack, bank_key
from tests.benchmarks.plain import (
    CompiledTrial,
    GraphTrial,
    OpByOp,
    PlainTrial,
    VmapTrials,
    random_bank,
)

Cell = dict[str, Any]

SHAPES: dict[str, dict[str, Any]] = {
    "cpu": {"P": 23, "side": 16, "batch": 512, "t_levels": 64, "heads": 8},
    "cuda": {"P": 23, "side": 32, "batch": 512, "t_levels": 64, "heads": 8},
}  # fmt: skip
"""The default shape, and the paper's side."""
ALONE = {"plain": PlainTrial, "plain, compiled": CompiledTrial, "plain, graph": GraphTrial}
"""One model at a time."""


def measure(cell: Cell, device: torch.device, seconds: float, threads: int) -> Cell:
    """Member-steps a second, share of the ceiling, peak memory."""
    torch.set_num_threads(threads)
    if device.type == "cuda":
        allow_tf32()
    config = config_of(cell, device)
    flops = 0
    step: Callable[[], Any]
    if cell["kind"] != "pack":
        step = peer(cell, config, device)
    else:
        pack = make_pack(cell, config, device)
        flops = products_of(pack)
        step = pack.step
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    for _ in range(6):
        step()
    ready = synchronized_clock(device) - started
    if cell.get("program") == COMPILED and GAVE_UP.is_set():
        raise RuntimeError("torch could not compile the step")
    rate = cell["members"] * steps_a_second(step, device, seconds)
    peak = peak_mib(device)  # before the ceiling takes memory of its own
    return {
        "member_steps_per_s": rate,
        "tflops": flops * rate / cell["members"] / 1e12,
        "ceiling_tflops": ceiling(cell["precision"], device) if flops else 0.0,
        "peak_mib": peak,
        "ready_s": ready,
    }


def peer(cell: Cell, config: TrialConfig, device: torch.device) -> Callable[[], Any]:
    """The step of what is not a pack."""
    bank, kind = random_bank(config), cell["kind"]
    if kind in ALONE:
        return ALONE[kind](config, bank, device).step
    return VmapTrials(config, bank, device, cell["members"], kind == "modelbatch").step


def config_of(cell: Cell, device: torch.device) -> TrialConfig:
    shape = SHAPES[device.type] | {"width": cell["width"], "ffn": cell["width"]}
    shape |= {"batch": cell["batch"]} if "batch" in cell else {}
    if cell.get("lever") == "levels of t":
        shape["t_levels"] = shape["batch"]
    return TrialConfig(**shape, precision=cell["precision"])


def make_pack(cell: Cell, config: TrialConfig, device: torch.device) -> Pack:
    member = Member.start(config)
    banks = {bank_key(config): random_bank(config)}
    pack = Pack([member] * cell["members"], banks, device, cell["program"])
    if cell.get("lever") == "fused AdamW":
        pack.optimizer = OpByOp(pack.state, pack.hyper)
    return pack


def products_of(pack: Pack) -> int:
    """Floating-point operations of the matrix products of one step, all members."""
    from torch.utils.flop_counter import FlopCounterMode

    weights = pack.state.weights.clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        pack.loss(weights, pack.state.step).sum().backward()
    return int(counter.get_total_flops())


def steps_a_second(step: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """Median over bursts of about a fifth of the time each."""
    started = synchronized_clock(device)
    step()
    one = max(synchronized_clock(device) - started, 1e-5)
    burst = max(1, round(seconds / 5 / one))
    rates = []
    for _ in range(5):
        started = synchronized_clock(device)
        for _ in range(burst):
            step()
        rates.append(burst / (synchronized_clock(device) - started))
    return statistics.median(rates)


def ceiling(precision: str, device: torch.device) -> float:
    """Measured TFLOP/s of large square products."""
    size = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        a @ b
    return 2e-12 * size**3 * steps_a_second(lambda: a @ b, device, 1.0)


def peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
