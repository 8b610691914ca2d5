"""What compiled steps bring on a CPU, family by family, and how long they take to be ready.

    python tests/benchmarks/compiling.py

Each pack on one thread in a process of its own: eager; compiled for the first time; compiled once
more, from what torch has kept on disk. The best of some rounds, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch

from grokmodel.configs import config_from
from grokmodel.core.execution import COMPILED, EAGER
from grokmodel.core.pack_size import STRETCH, STRETCHES, measure_pack
from grokmodel.families import family_of
from service.data.inputs import bind, inputs_of_steps
from tests.benchmarks import machine

DEMO = {"P": 23, "heads": 8, "train_fraction": 0.8, "batch": 256}
PACKS: dict[str, tuple[int, dict[str, Any]]] = {
    "image, the demo's": (4, DEMO),
    "image, width 512, side 32": (1, DEMO | {"width": 512, "ffn": 512, "side": 32}),
    "tokens": (2, {"family": "tokens"}),
    "parity": (2, {"family": "parity"}),
    "rules": (2, {"family": "rules"}),
}
"""Members and settings, by name."""
WARMUP = 5
"""Steps that `measure_pack` makes before it measures."""


def measure(name: str, program: str) -> dict[str, float]:
    """Milliseconds of a step, and seconds until the first one is done."""
    torch.set_num_threads(1)
    members, settings = PACKS[name]
    (config,) = bind([config_from(settings)], "")
    inputs, started = inputs_of_steps([config], ""), time.perf_counter()
    found = measure_pack(family_of(config), config, inputs, torch.device("cpu"), members, program)
    steps = WARMUP + STRETCHES * STRETCH
    ready_s = time.perf_counter() - started - steps * found.seconds
    return {"ms": 1e3 * found.seconds, "ready_s": max(ready_s, 0.0)}


def alone(name: str, program: str, cache: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--pack", name, "--program", program]
    env = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, rounds: int) -> dict[str, Any]:
    """All three, in turns."""
    eager, compiled, cold, warm = [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            eager.append(alone(name, EAGER, cache)["ms"])
            first, again = (alone(name, COMPILED, cache) for _ in range(2))
        compiled.append(again["ms"])  # one run against one
        cold.append(first["ready_s"])
        warm.append(again["ready_s"])
    before, after = min(eager), min(compiled)
    return {
        "pack": name, "members": PACKS[name][0], "eager_ms": before, "compiled_ms": after,
        "ratio": before / after, "ready_s": min(cold), "ready_again_s": min(warm),
        "pays_after_s": min(cold) / (1 - after / before) if after < before else None,
    }  # fmt: skip


def main() -> None:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--packs", nargs="+", choices=PACKS, default=list(PACKS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pack", help=argparse.SUPPRESS)
    parser.add_argument("--program", default=EAGER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pack:
        print(json.dumps(measure(args.pack, args.program)))
        return
    rows = [compare(name, args.rounds) for name in args.packs]
    head = ["pack", "M", "eager ms", "compiled ms", "ratio", "ready s", "again", "pays after s"]
    cells = [
        [r["pack"], str(r["members"]), f"{r['eager_ms']:.1f}", f"{r['compiled_ms']:.1f}",
         f"{r['ratio']:.2f}x", f"{r['ready_s']:.0f}", f"{r['ready_again_s']:.0f}",
         f"{r['pays_after_s']:.0f}" if r["pays_after_s"] else "never"]
        for r in rows
    ]  # fmt: skip
    print(machine.table(head, cells))
    machine.write_json(args.json, {**machine.describe("cpu"), "rows": rows})


if __name__ == "__main__":
    main()
