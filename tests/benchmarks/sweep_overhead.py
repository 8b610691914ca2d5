"""What the service adds to the work of its trials, and what it saves against the ordinary way.

    python tests/benchmarks/sweep_overhead.py                 within 20 minutes on two cores
    python tests/benchmarks/sweep_overhead.py --steps 2750    real training as long as `fast`
    python tests/benchmarks/sweep_overhead.py --only cost     CPU seconds of a tiny trial

*Overhead*: `--trials` trials that sleep `--seconds` go the whole way, plan, Tune, MLflow, tables,
on `--slots` slots; set against the sum of their sleep over the slots. Sleep stands for a GPU at
work: the service has the processor to itself.

*Ordinary*: real training of the preset's shape, by the service and by one Tune trial a config with
Ray's MLflowLoggerCallback, a plain PyTorch model (`plain.py`), an evaluation as often and a
checkpoint at the end. Same configs, same machine, in turn; each from the start of its process to
its last result. Both ways stop at `--steps`; analyses are left out on both sides.

*Cost*: CPU seconds of all processes per trial of the preset `smoke`, training included: the slope
between `--few` and `--many` trials, with quick analyses, without, and the ordinary way.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import psutil
import torch

from grokmodel.core.outcome import Evaluation
from grokmodel.core.training import Round
from grokmodel.data.load import load_bank
from grokmodel.image.config import TrialConfig
from grokmodel.image.evaluate import Decoders
from grokmodel.image.pack import Banks, Member, Pack, bank_key
from service.settings import load_settings
from sweeps.presets import preset_configs
from tests.benchmarks import machine

TARGET_OVERHEAD, TARGET_RATIO = 0.15, 2.0
TARGET_NONE, TARGET_QUICK = 0.2, 0.35


def quiet(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# --- overhead ------------------------------------------------------------------------------------


def sleeping_configs(trials: int) -> list[TrialConfig]:
    trivial = {"weight_decay": [1.0], "sample_steps": [1], "final_sample_steps": [1]}
    return preset_configs("smoke", {"seed": list(range(trials)), **trivial})


def sleeper(seconds: float) -> Callable[..., Iterator[Round]]:
    """A trainer whose members sleep, one after another, and learn nothing."""

    def train(
        members: Sequence[Member], banks: Banks, decoders: Decoders, device: torch.device
    ) -> Iterator[Round]:
        for member in members:
            time.sleep(seconds)
            for step in (0, member.config.steps):
                member.curve.append(Evaluation(step, 1.0, 0.1, 0.1, 0.1, float("nan"), 1.0))
            yield Round([member], Pack([member], banks, device))

    return train


def run_sleeping(args: argparse.Namespace, folder: str) -> None:
    from service.analysis.pending import NONE, Wish
    from service.schedule.driver import run_sweep

    settings = load_settings(folder)
    trainer = sleeper(args.seconds)
    result = run_sweep(
        "sleep", sleeping_configs(args.trials), settings, quiet, Wish(scope=NONE), trainer=trainer
    )
    if len(result.trials) != args.trials:
        raise SystemExit(f"{len(result.trials)} rows; need {args.trials}")


# --- cost ----------------------------------------------------------------------------------------


def run_tiny(args: argparse.Namespace, folder: str) -> None:
    from service.analysis.pending import Wish
    from service.schedule.driver import run_sweep

    configs = tiny_configs(args.trials)
    result = run_sweep("tiny", configs, load_settings(folder), quiet, Wish(scope=args.analyses))
    if len(result.trials) != len(configs):
        raise SystemExit(f"{len(result.trials)} rows; need {len(configs)}")


def tiny_configs(trials: int) -> list[TrialConfig]:
    return preset_configs("smoke", {"seed": list(range(trials)), "weight_decay": [1.0]})


def bare_seconds(members: int = 16) -> float:
    """CPU seconds of the training steps of one tiny trial, in a pack as large as a sweep's."""
    torch.set_num_threads(1)
    configs = tiny_configs(members)
    bank = load_bank(*bank_key(configs[0]), root="data")
    pack = Pack([Member.start(c) for c in configs], {bank_key(configs[0]): bank},
                torch.device("cpu"))  # fmt: skip
    started = time.process_time()
    for _ in range(configs[0].steps):
        pack.step()
    return (time.process_time() - started) / members


def cost(args: argparse.Namespace) -> dict[str, float]:
    """CPU seconds per trial, by what is done with it."""
    found = {"bare_s": bare_seconds()}
    ways = {"none_s": ("tiny", "none"), "quick_s": ("tiny", "quick"),
            "ordinary_s": ("tiny-ordinary", "none")}  # fmt: skip
    for name, (part, analyses) in ways.items():
        few, many = args.few, args.many if part == "tiny" else 2 * args.few
        least, most = (
            used_by(part, argparse.Namespace(**vars(args) | {"trials": n, "analyses": analyses}))
            for n in (few, many)
        )
        found[name] = (most.cpu_s - least.cpu_s) / (many - few)
        found[name.replace("_s", "_fixed_s")] = least.cpu_s - few * found[name]
    return found


# --- the ordinary way ----------------------------------------------------------------------------


def real_configs(args: argparse.Namespace) -> list[TrialConfig]:
    """Trials of the preset's shape that do not stop before `--steps`."""
    axes = {"seed": list(range(args.real_trials)), "steps": [args.steps]}
    axes |= {"weight_decay": [1.0], "train_fraction": [0.6]}
    return preset_configs("fast", axes)


def run_service(args: argparse.Namespace, folder: str) -> None:
    from service.analysis.pending import NONE, Wish
    from service.schedule.driver import run_sweep

    configs = real_configs(args)
    result = run_sweep("real", configs, load_settings(folder), quiet, Wish(scope=NONE))
    if len(result.trials) != len(configs):
        raise SystemExit(f"{len(result.trials)} rows; need {len(configs)}")


def train_ordinarily(values: dict[str, Any]) -> None:
    """One Tune trial."""
    from ray import tune

    from tests.benchmarks.plain import PlainTrial

    config = TrialConfig.from_dict(values)
    torch.set_num_threads(1)
    trial = PlainTrial(config, load_bank(*bank_key(config), root="data"), torch.device("cpu"))
    train, val = (torch.from_numpy(pairs) for pairs in (trial.split.train, trial.split.val))
    losses = []
    for step in range(1, config.steps + 1):
        losses.append(trial.step())
        if step % config.eval_every == 0:
            metrics = {
                "step": step,
                "loss": float(torch.stack(losses).mean()),
                "train_acc": trial.accuracy(train[: config.eval_pairs]),
                "val_acc": trial.accuracy(val[: config.eval_pairs]),
            }
            losses.clear()
            checkpoint = _checkpoint(trial) if step == config.steps else None
            tune.report(metrics, checkpoint=checkpoint)


def _checkpoint(trial: Any) -> Any:
    from ray import tune

    folder = tempfile.mkdtemp()
    torch.save(trial.average.state_dict(), Path(folder) / "model.pt")
    return tune.Checkpoint.from_directory(folder)


def run_ordinary(args: argparse.Namespace, folder: str) -> None:
    run_one_by_one(real_configs(args), folder)


def run_tiny_ordinary(args: argparse.Namespace, folder: str) -> None:
    run_one_by_one(tiny_configs(args.trials), folder)


def run_one_by_one(trials: Sequence[TrialConfig], folder: str) -> None:
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    ray.init(
        address="local", runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
        include_dashboard=False, logging_level="warning",
    )  # fmt: skip
    callback = MLflowLoggerCallback(
        tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="ordinary"
    )
    configs = [c.to_dict() for c in trials]

    def trainable(config: dict[str, Any]) -> None:
        train_ordinarily(configs[config["trial"]])

    results = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"trial": tune.grid_search(list(range(len(configs))))},
        run_config=tune.RunConfig(storage_path=folder, callbacks=[callback], verbose=0),
    ).fit()
    if results.errors or len(results) != len(configs):
        raise SystemExit(f"{len(results.errors)} of {len(configs)} ordinary trials failed")


# --- parts, each in a process of its own ----------------------------------------------------------

PARTS = {
    "sleeping": run_sleeping, "service": run_service, "ordinary": run_ordinary,
    "tiny": run_tiny, "tiny-ordinary": run_tiny_ordinary,
}  # fmt: skip
POLL_S = 0.1


@dataclass(frozen=True)
class Used:
    """What a part took."""

    wall_s: float
    cpu_s: float
    """Of all its processes."""


def used_by(part: str, args: argparse.Namespace) -> Used:
    """What one part takes in a process and a folder of its own."""
    command = [sys.executable, __file__, "--part", part]
    for name in ("trials", "seconds", "slots", "real_trials", "steps", "analyses"):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"GROK_BENCHMARK_FOLDER": folder, "PYTHONPATH": str(ROOT)}
        env.pop("RAY_ADDRESS", None)
        started = time.perf_counter()
        process = psutil.Popen(command, env=env, stdout=subprocess.DEVNULL)
        cpu_s: dict[psutil.Process, float] = {}
        while process.poll() is None:
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # it has ended since
                    times = each.cpu_times()
                    cpu_s[each] = times.user + times.system
            time.sleep(POLL_S)
        used = Used(time.perf_counter() - started, sum(cpu_s.values()))
    if process.returncode:
        raise SystemExit(f"sweep_overhead: part {part} ended with exit code {process.returncode}")
    quiet(f"{part}: {used.wall_s:.1f} s, {used.cpu_s:.1f} CPU s")
    return used


def run_part(args: argparse.Namespace) -> None:
    import ray

    folder = os.environ["GROK_BENCHMARK_FOLDER"]
    if args.part == "sleeping":
        # more slots than cores: those who sleep need none
        ray.init(
            address="local", num_cpus=args.slots, include_dashboard=False, logging_level="warning"
        )
    PARTS[args.part](args, folder)


def overhead(args: argparse.Namespace) -> dict[str, float]:
    wall = used_by("sleeping", args).wall_s
    work = args.trials * args.seconds / args.slots
    return {"sleeping_s": wall, "work_s": work, "overhead_fraction": wall / work - 1}


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


def report(args: argparse.Namespace, found: dict[str, Any]) -> str:
    lines = []
    if "overhead_fraction" in found:
        lines.append(
            f"overhead   {100 * found['overhead_fraction']:.1f} % (target "
            f"{100 * TARGET_OVERHEAD:.0f} %): {args.trials} trials of {args.seconds:g} s on "
            f"{args.slots} slots took {found['sleeping_s']:.0f} s, their work alone "
            f"{found['work_s']:.0f} s"
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
    return "\n".join(lines)


def main() -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="sleeping trials")
    parser.add_argument("--seconds", type=float, default=1.0, help="sleep of a trial")
    parser.add_argument("--slots", type=int, default=3, help="sleeping trials at a time")
    parser.add_argument("--real-trials", type=int, default=8, help="trials that train")
    parser.add_argument("--steps", type=int, default=1000, help="steps of a trial that trains")
    parser.add_argument("--rounds", type=int, default=1, help="times that both ways are run")
    parser.add_argument("--only", choices=("overhead", "ordinary", "cost"), help="one of them")
    parser.add_argument("--few", type=int, default=30, help="tiny trials whose cost is measured")
    parser.add_argument("--many", type=int, default=330, help="the same, for the slope")
    parser.add_argument("--analyses", default="none", help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        run_part(args)
        return 0
    found: dict[str, Any] = {}
    for name, measured in (("overhead", overhead), ("ordinary", comparison), ("cost", cost)):
        if args.only in (None, name):
            found |= measured(args)
    print(report(args, found))
    asked = {k: v for k, v in vars(args).items() if k not in ("json", "part", "only")}
    machine.write_json(args.json, {"machine": machine.describe("cpu"), "asked": asked} | found)
    late = found.get("overhead_fraction", 0) > TARGET_OVERHEAD
    slow = found.get("ratio_to_ordinary", TARGET_RATIO) < TARGET_RATIO
    dear = found.get("none_s", 0) > TARGET_NONE or found.get("quick_s", 0) > TARGET_QUICK
    return int(late or slow or dear)


if __name__ == "__main__":
    sys.exit(main())
