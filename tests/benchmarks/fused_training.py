"""How much a pack gains over one plain PyTorch model per process.

    python tests/benchmarks/fused_training.py                  this CPU, the default shape
    python tests/benchmarks/fused_training.py --device cuda    a GPU, within 8 minutes

Every row of the table is measured in a process of its own, in `--rounds` rounds over all rows; the
median is shown. Needs torch and numpy alone. *Ceiling* is the rate of large square products at the
row's precision on the same device; a pack's share of it counts the multiplications that it really
does, by torch's own counter. The yardstick is `plain.py`: eager, float32 (TF32 on a GPU). Beside it
stands what others would do, and a second ratio is to the best single model among them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import machine
from tests.benchmarks.fused_cell import ALONE, SHAPES, Cell, measure

PEERS = {"cpu": ["plain, compiled", "vmap"], "cuda": ["plain, graph", "plain, compiled", "vmap"]}
"""What others would do."""
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
    changes += [{"precision": "bfloat16", "program": "compiled"}]
    if device == "cuda":
        changes += [{"program": "eager"}]
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
    if args.batch:
        out = [cell | {"batch": args.batch} for cell in out]
    return [dict(items) for items in dict.fromkeys(tuple(cell.items()) for cell in out)]


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


def run_cells(
    todo: list[Cell], rounds: int, args: argparse.Namespace
) -> Iterator[list[list[Cell]]]:
    """What every row's rounds have brought, after each."""
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
            yield found


def summarize(cell: Cell, found: list[Cell]) -> Cell:
    """Medians over rounds."""
    good = [f for f in found if "error" not in f]
    if not good:
        return cell | {"error": found[0]["error"] if found else "not yet"}
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
    parser.add_argument("--batch", type=int, help="(default: 512)")
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
    about = machine.describe(args.device) | {"threads": args.threads}
    text = ""
    for found in run_cells(todo, rounds, args):  # whoever ends it early has what there is
        rows = [summarize(cell, results) for cell, results in zip(todo, found, strict=True)]
        text = report(rows)
        body = {"machine": about, "shape": SHAPES[args.device], "rows": rows}
        machine.write_json(args.json, body)
    print("\n" + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
