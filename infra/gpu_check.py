"""All that is to be found out on a borrowed GPU, in one go that ends by itself.

    python infra/gpu_check.py --minutes 14 --plan plan.zip --out OUT

First whether results are right there (packed = alone, CUDA graph = eager, precisions, resumed =
uninterrupted), then how fast it is (`tests/benchmarks/fused_training.py`), then, for the time that
is left, the plan is trained (`python -m grokmodel.run`). Needs torch, numpy and safetensors alone.
OUT gets at most eight files of 16 MiB, 64 MiB together: checks.json, fused_training.json and the
run's. `--device cpu --quick`
tries the script itself in a minute or two: what concerns CUDA is then compared with itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.checkpoint import dump_state, load_state
from grokmodel.core.execution import EAGER, GRAPH, allow_tf32
from grokmodel.data.bank import SymbolBank
from grokmodel.errors import UserError
from grokmodel.families import train
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.family import ImageInputs
from grokmodel.image.pack import Banks, Member, Pack, bank_key
from grokmodel.machine import device_name
from grokmodel.run.__main__ import LEFT
from grokmodel.run.plan import read_plan, write_plan

STEPS = 20
"""Of training, where weights are compared."""
FILES = 8
"""In the folder, at most."""
RUN_FILES = 3
"""Of the run, 16 MiB each: all files together have at most 64."""
SAVE_S = 120.0
"""Seconds between resume points: the machine is gone before one could be of use twice."""
BENCHMARK_SHARE = 1 / 3
"""Of the time, for the benchmark."""
GRACE_S = 45.0
"""Seconds that a part may take beyond its time before it is told to end, and then is ended."""
GRAPH_CHECK = "CUDA graph = eager"
"""Where it is wrong, the plan is trained by eager steps."""
ANALYSES = ("spectra", "heads", "identities", "timesteps")
"""Of every trial: what the paper says of mechanisms. Weights of width 512 fit in no file."""
LEAST_S = 20.0
"""Seconds without which the plan is not begun."""


@dataclass(frozen=True)
class Check:
    """One thing that has to hold."""

    name: str
    found: float
    """Norm of the difference by norm of what it should be; of several members the largest."""
    allowed: float
    seconds: float

    @property
    def is_right(self) -> bool:
        return self.found <= self.allowed  # false of NaN


class Checks:
    """Whether a device computes what it should, on one config with several seeds."""

    def __init__(self, config: TrialConfig, device: torch.device) -> None:
        self.device = device
        self.configs = [replace(config, seed=seed) for seed in range(4)]
        self.bank = random_bank(config)
        self.banks: Banks = {bank_key(config): self.bank}

    def all(self) -> list[Check]:
        """In order of what the others rest on."""
        return [
            measured("the device computes what the CPU does", 1e-3, self._as_cpu),
            measured("packed = alone", 1e-3, self._alone),
            measured("TF32 = float32, roughly", 2e-2, self._tf32),
            measured("bfloat16 = float32, roughly", 0.15, self._bfloat16),
            measured(GRAPH_CHECK, 1e-4, self._graph),
            measured("a state read back = the state written", 0.0, self._state),
            measured("resumed = uninterrupted", 1e-2, self._resumed),
        ]

    def gradient(self, configs: Sequence[TrialConfig], device: torch.device) -> Tensor:
        """Of the first step, (M, n)."""
        pack = Pack([Member.start(c) for c in configs], self.banks, device)
        weights = pack.state.weights.clone().requires_grad_()
        (grad,) = torch.autograd.grad(pack.loss(weights, pack.state.step).sum(), weights)
        return grad.cpu()

    def weights(self, mode: str) -> Tensor:
        """After some steps, (M, n)."""
        pack = Pack([Member.start(c) for c in self.configs], self.banks, self.device, mode)
        for _ in range(STEPS):
            pack.step()
        found = pack.state.weights.cpu()
        pack.close()
        return found

    def _as_cpu(self) -> float:
        with exact():
            mine = self.gradient(self.configs, self.device)
            return difference(mine, self.gradient(self.configs, torch.device("cpu")))

    def _alone(self) -> float:
        with exact():
            alone = torch.cat([self.gradient([c], self.device) for c in self.configs])
            return difference(self.gradient(self.configs, self.device), alone)

    def _tf32(self) -> float:
        with exact():
            right = self.gradient(self.configs, self.device)
        allow_tf32()
        return difference(self.gradient(self.configs, self.device), right)

    def _bfloat16(self) -> float:
        rounded = [replace(c, precision="bfloat16") for c in self.configs]
        with exact():
            right = self.gradient(self.configs, self.device)
        return difference(self.gradient(rounded, self.device), right)

    def _graph(self) -> float:
        return difference(self.weights(GRAPH), self.weights(EAGER))

    def _state(self) -> float:
        member = self._trained([Member.start(self.configs[0])], rounds=2)[0]
        back = load_state(Member, dump_state(member))
        pairs = zip(vars(back.state).values(), vars(member.state).values(), strict=True)
        return float(not all(torch.equal(a, b) for a, b in pairs))

    def _resumed(self) -> float:
        whole = self._trained([Member.start(c) for c in self.configs], rounds=4)
        half = self._trained([Member.start(c) for c in self.configs], rounds=2)
        again = self._trained([load_state(Member, dump_state(m)) for m in half], rounds=2)
        return difference(*(torch.cat([m.state.weights for m in x]) for x in (again, whole)))

    def _trained(self, members: list[Member], rounds: int) -> list[Member]:
        """After so many rounds of evaluations; of new members the first is before any step."""
        decoders = {key: MeanDecoder(bank) for key, bank in self.banks.items()}
        inputs = ImageInputs(self.banks, decoders)
        for n, round_ in enumerate(train(members, inputs, self.device), 1):
            if n == rounds:
                round_.write_back()
                break
        return members


class exact:  # noqa: N801
    """Without TF32, which training turns on."""

    def __enter__(self) -> None:
        torch.backends.cuda.matmul.allow_tf32 = False

    def __exit__(self, *_: object) -> None:
        allow_tf32()


def difference(found: Tensor, right: Tensor) -> float:
    """Relative, of rows (M, n); the largest."""
    return float(((found - right).norm(dim=1) / right.norm(dim=1)).max())


def measured(name: str, allowed: float, check: Callable[[], float]) -> Check:
    """Do a check; one that raises has not found what it should."""
    started = time.monotonic()
    try:
        found = check()
    except Exception as error:
        print(f"gpu_check: {name}: {type(error).__name__}: {error}", file=sys.stderr)
        found = float("nan")
    done = Check(name, found, allowed, round(time.monotonic() - started, 2))
    verdict = "right" if done.is_right else "WRONG"
    print(f"{verdict}  {name}: {found:.2g}, at most {allowed:g} ({done.seconds:.1f} s)", flush=True)
    return done


def random_bank(config: TrialConfig) -> SymbolBank:
    """Images of noise, which are all that speed and rounding depend on."""
    rng = np.random.default_rng(0)
    images = rng.random((config.P, config.N, config.side, config.side), dtype=np.float32)
    return SymbolBank(images, images[:, :0], images, ("",) * config.P)


def small_config(quick: bool) -> TrialConfig:
    """The paper's model at width 128; a toy for `--quick`."""
    if quick:
        return TrialConfig(P=7, side=8, width=16, ffn=16, batch=32, t_levels=8, sample_steps=2,
                           final_sample_steps=3, steps=60, eval_every=20)  # fmt: skip
    return TrialConfig(P=23, side=16, width=128, ffn=128, steps=400, eval_every=50)


def call(command: Sequence[str], seconds: float, grace_s: float = GRACE_S) -> int:
    """Run a part; if it takes too long it is told to end, and then ended with all that it began."""
    print("$", *command, flush=True)
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, start_new_session=True)
    try:
        return process.wait(seconds + grace_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(GRACE_S)
        return -signal.SIGKILL
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(argv: Sequence[str] | None = None) -> int:
    started = time.monotonic()
    args = build_parser().parse_args(argv)
    if args.device == "cuda" and not torch.cuda.is_available():
        print("gpu_check: --device cuda, but torch sees no GPU here", file=sys.stderr)
        return 2
    try:  # what is wrong with the plan should not be found out in the middle
        if args.plan:
            read_plan(args.plan)
    except UserError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return 2
    out, device = args.out.resolve(), torch.device(args.device)
    out.mkdir(parents=True, exist_ok=True)
    about = {"device": device_name(device), "torch": torch.__version__, "cuda": torch.version.cuda}

    def left() -> float:
        return started + 60 * args.minutes - time.monotonic()

    config = small_config(args.quick)
    if args.quick:
        torch.set_num_threads(1)
    checks = Checks(config, device).all()
    wrong = [check.name for check in checks if not check.is_right]
    parts: dict[str, int] = {}

    def write() -> None:
        body = about | {"checks": [asdict(c) for c in checks], "exit codes": parts}
        (out / "checks.json").write_text(json.dumps(body, indent=1) + "\n")

    write()
    budget = 5.0 if args.quick else BENCHMARK_SHARE * 60 * args.minutes
    if budget + GRACE_S < left():
        script = ["tests/benchmarks/fused_training.py", "--device", args.device]
        script += ["--json", str(out / "fused_training.json"), "--budget", f"{budget:.0f}"]
        parts["fused_training"] = call(script, budget)
        write()
    plan = args.plan.resolve() if args.plan else toy_plan(out / "plan.zip", config)
    if left() > LEAST_S:
        script = ["-m", "grokmodel.run", str(plan), "--out", str(out / "run")]
        script += ["--device", args.device, "--files", str(RUN_FILES)]
        script += ["--save-every", f"{SAVE_S:.0f}", "--analyses", *ANALYSES]
        script += ["--program", EAGER] if GRAPH_CHECK in wrong else []
        parts["run"] = call([*script, "--minutes", f"{left() / 60:.2f}"], left(), grace_s=5.0)
        write()
    print(f"{len(checks) - len(wrong)} of {len(checks)} checks are right; {parts}")
    trained = parts.get("run") in (0, LEFT)
    return int(bool(wrong) or parts.get("fused_training") != 0 or not trained)


def toy_plan(path: Path, config: TrialConfig) -> Path:
    """A plan to try the script with."""
    bank, key = random_bank(config), bank_key(config)
    configs = [replace(config, seed=seed) for seed in range(3)]
    inputs = ImageInputs({key: bank}, {key: MeanDecoder(bank)})
    write_plan(path, "gpu-check", configs, inputs, "unknown")
    return path


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--plan", type=Path, metavar="PLAN", help="(default: one of three toys)")
    parser.add_argument("--minutes", type=float, default=14.0, help="(default: %(default)g)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="toy sizes, to try the script")
    return parser


if __name__ == "__main__":
    sys.exit(main())
