"""How much a pack gains over one plain PyTorch model per process.

    python tests/benchmarks/fused_training.py                  this CPU, the default shape
    python tests/benchmarks/fused_training.py --device cuda    a GPU, within 8 minutes

Every row of the table is measured in a process of its own, in `--rounds` rounds over all rows; the
median is shown. Needs torch and numpy alone. *Ceiling* is the rate of large square products at the
row's precision on the same device; a pack's share of it counts the multiplications that it really
does, by torch's own counter. The yardstick is `plain.py`: eager, float32 (TF32 on a GPU).
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from grokmodel.core.execution import allow_tf32
from grokmodel.image.config import TrialConfig
from grokmodel.image.pack import Member, Pack, bank_key
from grokmodel.image.pack_size import synchronized_clock
from tests.benchmarks import machine
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
PEERS = {"cpu": ["plain, compiled", "vmap"], "cuda": ["plain, graph", "plain, compiled", "vmap"]}
"""What others would do."""
ALONE = {"plain": PlainTrial, "plain, compiled": CompiledTrial, "plain, graph": GraphTrial}
"""One model at a time."""
WIDTHS = {"cpu": [64, 128], "cuda": [128, 256, 512]}
MEMBERS = {"cpu": [1, 3, 6], "cuda": [1, 8, 64, 256]}
PROGRAMS = {"cpu": ["eager"], "cuda": ["graph"]}
WITHOUT = ("levels of t", "fused AdamW")
"""Levers that a row of the table does without."""
LEVER_MEMBERS = {"cpu": 3, "cuda": 64}
CELL_LIMIT_S = 150
BUDGET_S = {"cpu": 1800.0, "cuda": 440.0}
"""Seconds after which no further row is begun."""
GRACE_S = 30.0
"""Seconds that a row may go on after that."""


def levers(device: str, width: int) -> list[Cell]:
    """The pack with one thing changed at a time: what each lever brings."""
    base = {"kind": "pack", "width": width, "members": LEVER_MEMBERS[device]}
    base |= {"precision": "float32", "program": PROGRAMS[device][0]}
    changes: list[Cell] = [{}, *({"lever": name} for name in WITHOUT)]
    changes += [{"precision": "bfloat16"}, {"program": "compiled"}]
    if device == "cuda":
        changes += [{"program": "eager"}, {"precision": "bfloat16", "program": "compiled"}]
    return [base | change for change in changes]


def cells(args: argparse.Namespace) -> list[Cell]:
    """All rows of the table, the widest and its levers first, and its yardstick before all."""
    out: list[Cell] = []
    for width in sorted(args.widths, reverse=True):
        alone: Cell = {"kind": "plain", "width": width, "members": 1, "precision": "float32"}
        out.append(alone)
        for kind in args.peers:
            many = LEVER_MEMBERS[args.device] if kind in ("vmap", "modelbatch") else 1
            out.append({**alone, "kind": kind, "members": many})
        grid = itertools.product(args.members, args.precisions, args.programs)
        out += [
            {"kind": "pack", "width": width, "members": m, "precision": p, "program": program}
            for m, p, program in grid
        ]
        if args.levers and width == max(args.widths):
            out += levers(args.device, width)
    return [dict(items) for items in dict.fromkeys(tuple(cell.items()) for cell in out)]


# --- one cell, in a process of its own -----------------------------------------------------------


def measure(cell: Cell, device: torch.device, seconds: float, threads: int) -> Cell:
    """Member-steps a second, share of the ceiling, peak memory."""
    torch.set_num_threads(threads)
    if device.type == "cuda":
        allow_tf32()
        torch.cuda.reset_peak_memory_stats()
    config = config_of(cell, device)
    flops = 0
    step: Callable[[], Any]
    if cell["kind"] != "pack":
        step = peer(cell, config, device)
    else:
        pack = make_pack(cell, config, device)
        flops = products_of(pack)
        step = pack.step
    started = time.perf_counter()
    for _ in range(6):
        step()
    ready = synchronized_clock(device) - started
    rate = cell["members"] * steps_a_second(step, device, seconds)
    return {
        "member_steps_per_s": rate,
        "tflops": flops * rate / cell["members"] / 1e12,
        "ceiling_tflops": ceiling(cell["precision"], device) if flops else 0.0,
        "peak_mib": peak_mib(device),
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


# --- all cells -----------------------------------------------------------------------------------


def run_cell(cell: Cell, args: argparse.Namespace, limit_s: float) -> Cell:
    """Measure in a new process; a cell that fails, for lack of memory say, says so."""
    command = [sys.executable, __file__, "--cell", json.dumps(cell), "--device", args.device]
    command += ["--seconds", str(args.seconds), "--threads", str(args.threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return {"error": f"not done in {limit_s:.0f} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run_cells(todo: list[Cell], rounds: int, args: argparse.Namespace) -> list[list[Cell]]:
    """What every row's rounds brought."""
    started, budget = time.perf_counter(), args.budget or BUDGET_S[args.device]
    found: list[list[Cell]] = [[] for _ in todo]
    for k in range(rounds):
        for i, cell in enumerate(todo):
            spent = time.perf_counter() - started
            print(f"round {k + 1}/{rounds}, row {i + 1}/{len(todo)}, {spent:.0f} s",
                  end="\r", file=sys.stderr)  # fmt: skip
            late = {"error": f"not run: {budget:.0f} s were spent"}
            limit_s = min(CELL_LIMIT_S, budget + GRACE_S - spent)
            found[i].append(late if spent > budget else run_cell(cell, args, limit_s))
    return found


def summarize(cell: Cell, found: list[Cell]) -> Cell:
    """Medians over rounds."""
    good = [f for f in found if "error" not in f]
    if not good:
        return cell | {"error": found[0]["error"]}
    medians = {name: statistics.median(f[name] for f in good) for name in good[0]}
    medians["share_of_ceiling"] = (
        medians["tflops"] / medians["ceiling_tflops"] if medians["ceiling_tflops"] else None
    )
    rates = [f["member_steps_per_s"] for f in good]
    return cell | medians | {"lowest": min(rates), "highest": max(rates), "rounds": len(good)}


def report(rows: list[Cell]) -> str:
    plain = {r["width"]: r.get("member_steps_per_s") for r in rows if r["kind"] == "plain"}
    best: Cell = {}
    for r in rows:
        if r["kind"] in ALONE and "error" not in r:
            best[r["width"]] = max(best.get(r["width"], 0.0), r["member_steps_per_s"])
    head = [
        "model",
        "width",
        "M",
        "precision",
        "program",
        "member-steps/s",
        "to plain",
        "to best alone",
    ]
    head += ["of ceiling", "peak MiB", "ready s"]
    lines = []
    for r in rows:
        name = r["kind"] + (f", no {r['lever']}" if "lever" in r else "")
        line = [name, str(r["width"]), str(r["members"]), r["precision"], r.get("program", "eager")]
        if "error" in r:
            lines.append([*line, r["error"], "", "", "", "", ""])
            continue
        rate, base, share = r["member_steps_per_s"], plain.get(r["width"]), r["share_of_ceiling"]
        r["ratio_to_plain"] = rate / base if base else None
        r["ratio_to_best_alone"] = rate / best[r["width"]] if r["width"] in best else None
        line += [f"{rate:.1f}"]
        for ratio in (r["ratio_to_plain"], r["ratio_to_best_alone"]):
            line.append(f"{ratio:.2f}x" if ratio else "-")
        line += [f"{100 * share:.1f} %" if share else "-", f"{r['peak_mib']:.0f}"]
        lines.append([*line, f"{r['ready_s']:.1f}"])
    return machine.table(head, lines)


def main() -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--widths", type=int, nargs="+", help="default: 64 128; on a GPU 128 256 512"
    )
    parser.add_argument("--members", type=int, nargs="+", help="default: 1 3 6; on a GPU 1 ... 256")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--programs", nargs="+", help="default: eager; on a GPU graph")
    parser.add_argument(
        "--peers", nargs="*", choices=[*PEERS["cuda"], "modelbatch"],
        help="what else is measured (default: all but modelbatch, which is a package on PyPI)",
    )  # fmt: skip
    parser.add_argument("--no-levers", dest="levers", action="store_false")
    parser.add_argument("--seconds", type=float, default=2.0, help="measuring time of a cell")
    parser.add_argument("--rounds", type=int, help="default: 3; on a GPU 1")
    parser.add_argument("--budget", type=float, help="seconds after which no row is begun")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a process")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("fused_training: --device cuda, but torch sees no GPU here", file=sys.stderr)
        return 2
    if args.cell:
        device = torch.device(args.device)
        print(json.dumps(measure(json.loads(args.cell), device, args.seconds, args.threads)))
        return 0
    args.widths = args.widths or WIDTHS[args.device]
    args.members = args.members or MEMBERS[args.device]
    args.peers = PEERS[args.device] if args.peers is None else args.peers
    args.programs = args.programs or PROGRAMS[args.device]
    rounds = args.rounds or (1 if args.device == "cuda" else 3)
    todo = cells(args)
    found = run_cells(todo, rounds, args)
    rows = [summarize(cell, results) for cell, results in zip(todo, found, strict=True)]
    print("\n" + report(rows))
    about = machine.describe(args.device) | {"threads": args.threads}
    machine.write_json(args.json, {"machine": about, "shape": SHAPES[args.device], "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
