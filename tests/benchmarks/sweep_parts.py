"""What `sweep_overhead.py` measures: whole sweeps, by the service and the ordinary way, each in a
process and a folder of its own."""

from __future__ import annotations

import argparse
import contextlib
import json
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
from grokmodel.image.family import ImageInputs
from grokmodel.image.pack import Member, Pack, bank_key
from sweeps.presets import preset_configs
from tests.environment import user_environment

POLL_S = 0.1


def quiet(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# --- trials --------------------------------------------------------------------------------------


def sleeping_configs(trials: int) -> list[TrialConfig]:
    trivial = {"weight_decay": [1.0], "sample_steps": [1], "final_sample_steps": [1]}
    return preset_configs("smoke", {"seed": list(range(trials)), **trivial})


def sleeper(seconds: float) -> Callable[..., Iterator[Round]]:
    """A trainer whose members sleep, one after another, and learn nothing."""

    def train(
        members: Sequence[Member],
        inputs: ImageInputs,
        device: torch.device,
        mode: str | None,
    ) -> Iterator[Round]:
        for member in members:
            time.sleep(seconds)
            for step in (0, member.config.steps):
                member.curve.append(Evaluation(step, 1.0, 0.1, 0.1, 0.1, float("nan"), 1.0))
            yield Round([member], Pack([member], inputs.banks, device))

    return train


def tiny_configs(trials: int) -> list[TrialConfig]:
    return preset_configs("smoke", {"seed": list(range(trials)), "weight_decay": [1.0]})


def real_configs(args: argparse.Namespace) -> list[TrialConfig]:
    """Trials of the preset's shape that do not stop before `--steps`."""
    axes = {"seed": list(range(args.real_trials)), "steps": [args.steps]}
    axes |= {"weight_decay": [1.0], "train_fraction": [0.6]}
    return preset_configs("fast", axes)


# --- by the service ------------------------------------------------------------------------------


def run_sleeping(args: argparse.Namespace, folder: str) -> None:
    import ray

    # more slots than cores: those who sleep need none
    ray.init(address="local", num_cpus=args.slots, include_dashboard=False, logging_level="warning")
    run_by_service(sleeping_configs(args.trials), folder, trainer=sleeper(args.seconds))


def run_service(args: argparse.Namespace, folder: str) -> None:
    run_by_service(real_configs(args), folder)


def run_tiny(args: argparse.Namespace, folder: str) -> None:
    run_by_service(tiny_configs(args.trials), folder, args.analyses)


def run_by_service(
    configs: Sequence[TrialConfig], folder: str, analyses: str = "none", **trainer: Any
) -> None:
    from service.analysis.pending import Wish
    from service.schedule.driver import run_sweep
    from service.settings import load_settings

    wish = Wish(scope=analyses)
    result = run_sweep("sweep", configs, load_settings(folder), quiet, wish, **trainer)
    if len(result.trials) != len(configs):
        raise SystemExit(f"{len(result.trials)} rows; need {len(configs)}")


# --- the ordinary way ----------------------------------------------------------------------------


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


# --- what reads a store -------------------------------------------------------------------------

READERS = {"status_s": ("status",), "table_s": ("table", "--sweep", "sweep")}


def reader_seconds(folder: str) -> dict[str, float]:
    """Wall seconds of commands on a store, each in a process of its own."""
    found = {}
    for name, words in READERS.items():
        command = [sys.executable, "-m", "service.cli.commands", *words, "--store", folder]
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=user_environment(PYTHONPATH=str(ROOT)), check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        found[name] = time.perf_counter() - started
    return found


# --- in a process of its own ---------------------------------------------------------------------

PARTS = {
    "sleeping": run_sleeping, "service": run_service, "ordinary": run_ordinary,
    "tiny": run_tiny, "tiny-ordinary": run_tiny_ordinary,
}  # fmt: skip


@dataclass(frozen=True)
class Used:
    """What a part took."""

    wall_s: float
    cpu_s: float
    """Of all its processes."""
    driver_bytes: int
    """Resident memory of the first process, at most."""
    then: dict[str, float]
    """What was measured in its folder afterwards."""


def nothing(folder: str) -> dict[str, float]:
    return {}


def used_by(
    part: str,
    args: argparse.Namespace,
    then: Callable[[str], dict[str, float]] = nothing,
    **changes: Any,
) -> Used:
    """What one part takes, of arguments with some changes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, part, json.dumps(vars(args) | changes), folder]
        started = time.perf_counter()
        process = psutil.Popen(
            command, env=user_environment(PYTHONPATH=str(ROOT)), stdout=subprocess.DEVNULL
        )
        cpu_s: dict[psutil.Process, float] = {}
        most = 0
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                most = max(most, process.memory_info().rss)
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # it has ended since
                    times = each.cpu_times()
                    cpu_s[each] = times.user + times.system
            time.sleep(POLL_S)
        wall_s = time.perf_counter() - started
        if process.returncode:
            code = process.returncode
            raise SystemExit(f"sweep_overhead: part {part} ended with exit code {code}")
        used = Used(wall_s, sum(cpu_s.values()), most, then(folder))
    quiet(f"{part}: {used.wall_s:.1f} s, {used.cpu_s:.1f} CPU s")
    return used


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


if __name__ == "__main__":
    PARTS[sys.argv[1]](argparse.Namespace(**json.loads(sys.argv[2])), sys.argv[3])
