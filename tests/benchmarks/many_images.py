"""What many images per symbol cost: memory of the bank on the device, and time of a step.

    python tests/benchmarks/many_images.py
    python tests/benchmarks/many_images.py --device cuda

A pack keeps each distinct bank once, whatever the number of its members; a batch is rows of it. The
table gives, over images per symbol (N) and members (M), the bank's memory and, for comparison, what
a bank for each member would take, the row numbers that are drawn a step, and the time of a step
over that with N = 1 at the same M; `tokens` says whether operands come from a table of all embedded
images (fewer images than rows of a batch) or are embedded as drawn. Median over `--rounds` rounds
that go over all rows. Needs torch and numpy alone.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from grokmodel.core.execution import allow_tf32
from grokmodel.core.pack_size import synchronized_clock
from grokmodel.image.config import TrialConfig
from grokmodel.image.device_bank import DeviceBank
from grokmodel.image.pack import Member, Pack, bank_key
from tests.benchmarks import machine
from tests.benchmarks.plain import random_bank

SHAPES: dict[str, dict[str, Any]] = {
    "cpu": {"P": 23, "side": 16, "width": 128, "ffn": 128, "batch": 512},
    "cuda": {"P": 23, "side": 32, "width": 512, "ffn": 512, "batch": 512},
}
MEMBERS = {"cpu": [1, 4], "cuda": [1, 16, 64]}
IMAGES = [1, 4, 16, 64, 256]
TIMED_STEPS = 8


def make_pack(variant: str, N: int, members: int, device: torch.device) -> Pack:
    shape = SHAPES[device.type]
    configs = [TrialConfig(**shape, variant=variant, N=N, seed=seed) for seed in range(members)]
    banks = {bank_key(configs[0]): random_bank(configs[0])}  # images are not looked at
    program = "graph" if device.type == "cuda" else "eager"
    return Pack([Member.start(c) for c in configs], banks, device, program)


def step_seconds(pack: Pack, device: torch.device) -> float:
    started = synchronized_clock(device)
    for _ in range(TIMED_STEPS):
        pack.step()
    return (synchronized_clock(device) - started) / TIMED_STEPS


def nbytes(device_bank: DeviceBank | None) -> int:
    return 0 if device_bank is None else device_bank.images.untyped_storage().nbytes()


def rows_of(variant: str, device: torch.device, rounds: int) -> list[list[str]]:
    keys = [(M, N) for M in MEMBERS[device.type] for N in IMAGES]
    packs = {key: make_pack(variant, key[1], key[0], device) for key in keys}
    seconds: dict[tuple[int, int], list[float]] = {key: [] for key in keys}
    for key in keys:  # warm, and captured as a graph
        for _ in range(5):
            packs[key].step()
    for _ in range(rounds):
        for key in keys:
            seconds[key].append(step_seconds(packs[key], device))
    out = []
    for M, N in keys:
        pack = packs[M, N]
        ratio = statistics.median(a / b for a, b in zip(seconds[M, N], seconds[M, 1], strict=True))
        drawn = M * pack.shape.batch * 3 * 8
        out.append([
            f"{variant}, M {M}, N {N}",
            f"{nbytes(pack.bank) / 2**20:.2f}",
            f"{M * nbytes(pack.bank) / 2**20:.2f}",
            f"{drawn / 2**20:.2f}",
            "drawn" if pack.tables is None else "table",
            f"{statistics.median(seconds[M, N]) * 1000:.1f}",
            f"{ratio:.2f}",
        ])  # fmt: skip
    return out


def main() -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.set_num_threads(1)
    allow_tf32()
    started = time.perf_counter()
    head = ["pack", "bank MiB", "a bank each MiB", "rows drawn MiB", "tokens", "ms", "of N = 1"]
    rows = [row for variant in ("baseline", "sandwich")
            for row in rows_of(variant, device, args.rounds)]  # fmt: skip
    print(machine.table(head, rows))
    found = {"machine": machine.describe(args.device), "head": head, "rows": rows}
    machine.write_json(args.json, found | {"seconds": time.perf_counter() - started})
    return 0


if __name__ == "__main__":
    sys.exit(main())
