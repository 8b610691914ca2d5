"""What a tracking server costs training: the same pack with a good, a slow, a hanging, a dead one.

    python tests/benchmarks/tracking_stall.py
    python tests/benchmarks/tracking_stall.py --trainer sleep --json stall.json

Every case trains the same trials from the start, with a resume point and new curves every
`--checkpoint-s` seconds; what the worker reports is handed on as by a driver, in the same process.
Ratios are to the case without tracking; the cases take turns, so that a machine that becomes slower
is slower for all. The good server runs on this machine too: what it computes itself is in its
ratio, which is not judged.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import itertools

import torch

from grokmodel.families import train
from grokmodel.image.config import TrialConfig
from service.schedule.plan import Plan
from service.schedule.tune import Shown
from service.settings import Settings
from service.store import marks
from service.store.store import Store
from service.tables.reading import done_ids
from service.tracking.client import Tracking
from service.tracking.publisher import Publisher
from service.worker.pack_run import PackJob, Progress
from tests.benchmarks import machine
from tests.service.packs import run_pack
from tests.tracking_servers import MlflowServer, dead_server, hanging_server, slow_server

CASES = ("none", "good", "slow", "hanging", "dead")
JUDGED = ("slow", "hanging", "dead")
BUDGET = 0.05


def trials(count: int, steps: int) -> list[TrialConfig]:
    """Trials that end one after another, as those of a sweep do."""
    every = steps // 20
    return [
        TrialConfig(P=11, side=8, width=32, ffn=32, batch=64, t_levels=16, seed=seed,
                    steps=steps - every * (seed % 8), eval_every=every)
        for seed in range(count)
    ]  # fmt: skip


def sleeping_trainer(members, inputs, device, mode):
    """Real training, with a pause a round: a GPU that works while its process waits."""
    for round_ in train(members, inputs, device):
        time.sleep(float(os.environ["STALL_PAUSE_S"]))
        yield round_


def measure(case: str, uri: str, known: Tracking, args: argparse.Namespace) -> dict[str, float]:
    """Seconds from the first round to the last, and of the whole pack."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        settings = Settings(folder, uri, "", checkpoint_s=args.checkpoint_s)
        trainer = sleeping_trainer if args.trainer == "sleep" else train
        configs = tuple(trials(args.trials, args.steps))
        job = PackJob("stall", settings, configs, 1.0, trainer)
        if case == "none":
            stack.enter_context(patch.object(Publisher, "offer", lambda *message: None))
        tracking = Tracking(uri, known.experiment_id, known.parent_id)
        publisher = stack.enter_context(Publisher(tracking))
        store = Store(settings)
        shown = Shown(store, Plan("stall", configs, (), (), (configs,)), publisher)
        rounds: list[float] = []

        def report(progress: Progress) -> None:
            rounds.append(time.perf_counter())
            shown.on_trial_result(0, [], None, vars(progress))

        started = time.perf_counter()
        run_pack(job, report)
        ended = time.perf_counter()
        del rounds[-1]  # when the last rows were written
        assert len(done_ids(store, "stall")) == args.trials, "a trial has no row"
        return {
            "training_s": rounds[-1] - rounds[0],
            "longest_round_s": max(b - a for a, b in itertools.pairwise(rounds)),
            "after_training_s": ended - rounds[-1],
            "pack_s": ended - started,
            "unsent": len(marks.marked(store, "stall")),
        }


def main() -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4000, help="a trial, at most")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--delay-s", type=float, default=5.0, help="of each call, slow server")
    parser.add_argument("--checkpoint-s", type=float, default=5.0)
    parser.add_argument("--trainer", choices=("real", "sleep"), default="real")
    parser.add_argument("--pause-s", type=float, default=0.5, help="a round, --trainer sleep")
    args = parser.parse_args()
    os.environ["STALL_PAUSE_S"] = str(args.pause_s)
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        good = stack.enter_context(MlflowServer(folder, nice=10))
        uris = {
            "none": dead_server(),
            "good": good.uri,
            "slow": stack.enter_context(slow_server(good.port, args.delay_s)),
            "hanging": stack.enter_context(hanging_server()),
            "dead": dead_server(),
        }
        measure("none", uris["none"], Tracking(""), args)  # the first is slower: not counted
        for turn in range(args.repeat):
            for case in CASES:
                known = Tracking.start(good.uri, f"{case}-{turn}", f"{folder}/artifacts")
                found[case].append(measure(case, uris[case], known, args))
    return report(found, args)


def report(found: dict[str, list[dict[str, float]]], args: argparse.Namespace) -> int:
    middle = {
        case: {name: statistics.median(one[name] for one in runs) for name in runs[0]}
        for case, runs in found.items()
    }
    lines = []
    for case, values in middle.items():
        times = [one["training_s"] for one in found[case]]
        values["ratio"] = values["training_s"] / middle["none"]["training_s"]
        lines.append((
            case, f"{values['training_s']:.2f} ({min(times):.2f}-{max(times):.2f})",
            f"{values['ratio']:.3f}", f"{values['longest_round_s']:.2f}",
            f"{values['after_training_s']:.2f}", f"{values['unsent']:.0f} of {args.trials}",
        ))  # fmt: skip
    head = ("tracking", "training s (range)", "ratio", "longest round s", "then s", "unsent")
    print(machine.table(head, lines))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    body = {"machine": machine.describe(device), "asked": vars(args)}
    machine.write_json(args.json, body | {"median": middle, "runs": found})
    worst = max(middle[case]["ratio"] for case in JUDGED)
    verdict = "within" if worst <= 1 + BUDGET else "beyond"
    print(f"worst ratio {worst:.3f}: {verdict} the budget of {1 + BUDGET:.2f}")
    return 0 if worst <= 1 + BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
