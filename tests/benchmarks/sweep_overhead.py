"""What the service adds to the work of its trials, and what it saves against the ordinary way.

    python tests/benchmarks/sweep_overhead.py                 within 20 minutes on two cores
    python tests/benchmarks/sweep_overhead.py --steps 2750    real training as long as `fast`
    python tests/benchmarks/sweep_overhead.py --only cost     CPU seconds of a tiny trial
    python tests/benchmarks/sweep_overhead.py --only scale    the same of ten thousand: an hour

*Overhead*: `--trials` trials that sleep `--seconds` go the whole way, plan, Tune, MLflow, tables,
on `--slots` slots; set against the sum of their sleep over the slots. Sleep stands for a GPU at
work: the service has the processor to itself.

*Ordinary*: real training of the preset's shape, by the service and by one Tune trial a config with
Ray's MLflowLoggerCallback, a plain PyTorch model (`plain.py`), an evaluation as often and a
checkpoint at the end. Same configs, same machine, in turn; each from the start of its process to
its last result. Both ways stop at `--steps`; analyses are left out on both sides.

*Cost*: CPU seconds of all processes per trial of the preset `smoke`, training included: the slope
between `--few` and `--many` trials, with quick analyses, without, and the ordinary way.

*Scale*: whether that stays so, without analyses, from `--few` to `--many` and to `--most` trials;
the driver's memory, and what `grok status` and `grok table` take in the end.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import machine
from tests.benchmarks.sweep_parts import bare_seconds, reader_seconds, used_by

TARGET_OVERHEAD, TARGET_RATIO = 0.08, 2.0
TARGET_NONE, TARGET_QUICK = 0.2, 0.35


def overhead(args: argparse.Namespace) -> dict[str, float]:
    used = used_by("sleeping", args)
    work = args.trials * args.seconds / args.slots
    return {
        "sleeping_s": used.wall_s,
        "sleeping_driver_mib": used.driver_bytes / 2**20,
        "work_s": work,
        "overhead_fraction": used.wall_s / work - 1,
    }


def comparison(args: argparse.Namespace) -> dict[str, Any]:
    walls: dict[str, list[float]] = {"service": [], "ordinary": []}
    for _ in range(args.rounds):
        for part, found in walls.items():
            found.append(used_by(part, args).wall_s)
    ratios = [o / s for s, o in zip(walls["service"], walls["ordinary"])]
    medians = {part: statistics.median(found) for part, found in walls.items()}
    return {
        "service_s": walls["service"],
        "ordinary_s": walls["ordinary"],
        "service_trials_per_hour": 3600 * args.real_trials / medians["service"],
        "ordinary_trials_per_hour": 3600 * args.real_trials / medians["ordinary"],
        "ratio_to_ordinary": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
    }


def cost(args: argparse.Namespace) -> dict[str, float]:
    """CPU seconds per trial, by what is done with it."""
    found = {"bare_s": bare_seconds()}
    ways = {"none_s": ("tiny", "none"), "quick_s": ("tiny", "quick"),
            "ordinary_s": ("tiny-ordinary", "none")}  # fmt: skip
    for name, (part, analyses) in ways.items():
        few, many = args.few, args.many if part == "tiny" else 2 * args.few
        least, most = (used_by(part, args, trials=n, analyses=analyses) for n in (few, many))
        found[name] = (most.cpu_s - least.cpu_s) / (many - few)
        found[name.replace("_s", "_fixed_s")] = least.cpu_s - few * found[name]
    return found


def scale(args: argparse.Namespace) -> dict[str, Any]:
    """By number of trials: CPU seconds of each beyond the fewest, memory of the driver, readers."""
    sizes = (args.few, args.many, args.most)
    used = [used_by("tiny", args, reader_seconds, trials=n, analyses="none") for n in sizes]
    least, *others = used
    return {"scale": [
        {"trials": n, "cpu_s": (u.cpu_s - least.cpu_s) / (n - args.few) if u in others else None,
         "wall_s": u.wall_s, "driver_mib": u.driver_bytes / 2**20, **u.then}
        for n, u in zip(sizes, used)
    ]}  # fmt: skip


def report(args: argparse.Namespace, found: dict[str, Any]) -> str:
    lines = []
    if "overhead_fraction" in found:
        lines.append(
            f"overhead   {100 * found['overhead_fraction']:.1f} % (target "
            f"{100 * TARGET_OVERHEAD:.0f} %): {args.trials} trials of {args.seconds:g} s on "
            f"{args.slots} slots took {found['sleeping_s']:.0f} s, their work alone "
            f"{found['work_s']:.0f} s; driver {found['sleeping_driver_mib']:.0f} MiB at most"
        )
    if "ratio_to_ordinary" in found:
        lines.append(
            f"trials/hour {found['service_trials_per_hour']:.0f} by the service, "
            f"{found['ordinary_trials_per_hour']:.0f} the ordinary way: "
            f"{found['ratio_to_ordinary']:.2f}x (target {TARGET_RATIO:g}x; {args.real_trials} "
            f"trials of {args.steps} steps, {args.rounds} rounds)"
        )
    if "none_s" in found:
        lines.append(
            f"cost       {found['none_s']:.2f} CPU s per tiny trial without analyses (target "
            f"{TARGET_NONE:g}), {found['quick_s']:.2f} with quick ones (target {TARGET_QUICK:g}), "
            f"{found['ordinary_s']:.2f} the ordinary way; its training steps alone "
            f"{found['bare_s']:.2f}; a sweep itself {found['none_fixed_s']:.0f} CPU s"
        )
    for row in found.get("scale", ()):
        cost_s = "" if row["cpu_s"] is None else f"{row['cpu_s']:.2f} CPU s per trial, "
        lines.append(
            f"{row['trials']:>6} trials: {cost_s}driver {row['driver_mib']:.0f} MiB at most, "
            f"status {row['status_s']:.1f} s, table {row['table_s']:.1f} s, {row['wall_s']:.0f} s "
            "in all"
        )
    return "\n".join(lines)


MEASURED = {"overhead": overhead, "ordinary": comparison, "cost": cost, "scale": scale}
USUAL = ("overhead", "ordinary", "cost")
"""What is measured unless one is named."""


def main() -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="sleeping trials")
    parser.add_argument("--seconds", type=float, default=1.0, help="sleep of a trial")
    parser.add_argument("--slots", type=int, default=3, help="sleeping trials at a time")
    parser.add_argument("--real-trials", type=int, default=8, help="trials that train")
    parser.add_argument("--steps", type=int, default=1000, help="steps of a trial that trains")
    parser.add_argument("--rounds", type=int, default=1, help="times that both ways are run")
    parser.add_argument("--only", choices=tuple(MEASURED), help="one of them")
    parser.add_argument("--few", type=int, default=30, help="tiny trials whose cost is measured")
    parser.add_argument("--many", type=int, default=330, help="the same, for the slope")
    parser.add_argument("--most", type=int, default=10_000, help="the same, for the scale")
    args = parser.parse_args()
    found: dict[str, Any] = {}
    for name in [args.only] if args.only else USUAL:
        found |= MEASURED[name](args)
    print(report(args, found))
    asked = {k: v for k, v in vars(args).items() if k not in ("json", "only")}
    machine.write_json(args.json, {"machine": machine.describe("cpu"), "asked": asked} | found)
    late = found.get("overhead_fraction", 0) > TARGET_OVERHEAD
    slow = found.get("ratio_to_ordinary", TARGET_RATIO) < TARGET_RATIO
    costly = found.get("none_s", 0) > TARGET_NONE or found.get("quick_s", 0) > TARGET_QUICK
    return int(late or slow or costly)


if __name__ == "__main__":
    sys.exit(main())
