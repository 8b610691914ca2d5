"""Train a plan file with torch, numpy and safetensors alone.

    python -m grokmodel.run plan.zip --out DIR --minutes 12

The plan is from `sweeps/grok_phase.py ... --export plan.zip`. The same command again goes on where
it stopped: because the time was up, by SIGTERM or Ctrl-C (after the evaluation that it is at), or
killed (up to --save-every seconds are lost). `grok import-results DIR` takes what is finished into
a store. One run at a time per folder. Exit code 0: all trials are done; 75: some are left; 2:
bad input; 1: it failed.
"""

from __future__ import annotations

import argparse
import math
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import safetensors
import torch

from grokmodel import families
from grokmodel.core.checkpoint import dump_snapshot
from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.core.execution import AUTO, MODES
from grokmodel.errors import ConfigError, UserError
from grokmodel.machine import (
    cpu_name,
    device_name,
    keep_freed_memory,
    source_commit,
    source_hash,
    today,
)
from grokmodel.run import STARTED
from grokmodel.run.analyzing import CHOICES
from grokmodel.run.output import LIMIT, Output, total
from grokmodel.run.plan import Outline, Plan, read_plan
from grokmodel.run.results import Facts
from grokmodel.run.runner import CHECKPOINTS, FINAL, NONE, Limits, Runner

MOST_FILES = 8
LEFT = 75
"""Exit code when trials are left: "try again", as in sysexits.h. Python itself ends with 1 when
something fails, which is no reason to try again."""
MIB = 2**20
ANALYSES_BYTES = MIB // 2
"""Room for what analyses find of a trial."""


def main(argv: Sequence[str] | None = None, started: float | None = None) -> int:
    """The exit code.

    Args:
        started: when the minutes begin; None: now.
    """
    args = build_parser().parse_args(argv)
    try:
        return _run(args, time.monotonic() if started is None else started)
    except UserError as error:
        print(f"grokmodel.run: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # the second
        print("grokmodel.run: stopped at once; the same command goes on", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace, started: float) -> int:
    keep_freed_memory()
    device = _device(args.device)
    plan = read_plan(args.plan)
    if plan.outline.sources != source_hash():
        say(f"note: the plan was exported by another source of grokmodel ({plan.outline.commit})")
    facts = describe(device, plan.outline)
    room = ANALYSES_BYTES if args.analyses else 0
    output = Output(args.out, plan.outline, facts, args.files, room)
    left = [c for c in plan.configs if c.trial_id not in output.done]
    say(f"sweep {plan.outline.sweep}: {len(plan.configs)} trials, {len(output.done)} done already, "
        f"{len(left)} to train on {device_name(device)}")  # fmt: skip
    _warn_of_size(plan, args)
    until = math.inf if args.minutes is None else started + 60 * args.minutes
    limits = Limits(
        until, args.members, args.checkpoints, args.save_every, args.program, args.analyses
    )
    stopping = _Signals()
    try:
        is_done = Runner(plan, output, device, limits, stopping.came, say).run()
    finally:
        stopping.end()
    _say_what_is_there(args, output, is_done)
    return 0 if is_done else LEFT


def describe(device: torch.device, outline: Outline) -> Facts:
    """On what, and by which source, trials are trained; nothing that names a host or a user."""
    commit = source_commit()
    if commit == "unknown" and outline.sources == source_hash():
        commit = outline.commit  # a copy without git
    return {
        "date": today(),
        "device": device_name(device),
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "version.torch": torch.__version__,
        "version.numpy": np.__version__,
        "version.safetensors": safetensors.__version__,
        "science_version": str(SCIENCE_VERSION),
        "git.commit": commit,
        "source.name": "grokmodel.run",
    }


def _device(name: str | None) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device", name, "cpu: torch sees no GPU here")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def _warn_of_size(plan: Plan, args: argparse.Namespace) -> None:
    """Say beforehand what will not fit."""
    if args.checkpoints == NONE or not args.files:
        return
    of_shape = {c.shape: c for c in plan.configs}
    size = {shape: len(dump_snapshot(families.start(c))) for shape, c in of_shape.items()}
    need, room = sum(size[c.shape] for c in plan.configs), (args.files - 1) * LIMIT
    if need > room:
        say(f"note: the weights of all trials take {need / MIB:.0f} MiB, and {args.files} files "
            f"hold {room / MIB:.0f} of them: those that come last are left out. --files 0 sets no "
            "limit, --checkpoints none leaves out all")  # fmt: skip


def _say_what_is_there(args: argparse.Namespace, output: Output, is_done: bool) -> None:
    for line in output.said.values():
        say(line)
    files, size = total(args.out)
    said = f"{files} file{'s' * (files != 1)}, {size / MIB:.1f} MiB"
    say(f"{args.out}: {len(output.done)} of {len(output.outline.configs)} trials done, {said}")
    if not is_done:
        say("trials are left: the same command goes on")
    if output.done:
        say(f"into a store, where that is: grok import-results {args.out}")


class _Signals:
    """SIGTERM and Ctrl-C, once, as a question; the second time they do what they always do."""

    def __init__(self) -> None:
        self.seen = False
        self.before = {s: signal.signal(s, self._take) for s in (signal.SIGTERM, signal.SIGINT)}

    def came(self) -> bool:
        return self.seen

    def end(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: Any) -> None:
        self.seen = True
        self.end()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"grokmodel.run: {message} (--help says more)", file=sys.stderr)
        sys.exit(2)


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m grokmodel.run", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("plan", type=Path, metavar="PLAN", help="a plan file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the results")
    parser.add_argument(
        "--minutes", type=_positive, metavar="M",
        help="end before so many are over, if one evaluation fits (default: when all is done)",
    )  # fmt: skip
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="(default: the GPU if there is one)"
    )
    parser.add_argument(
        "--members", type=_whole(1), metavar="N",
        help="trials that train as one program (default: measured on a GPU; 4 on a CPU)",
    )  # fmt: skip
    parser.add_argument(
        "--program", choices=(AUTO, *MODES), default=AUTO,
        help="how steps are run (default: one CUDA graph on a GPU; on a CPU compiled if that pays)",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoints", choices=CHECKPOINTS, default=FINAL,
        help="weights that are kept: `final`; `all`: of log-spaced steps too, as a sweep does; "
        "`none`: there are rows only, and no analyses later (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--analyses", nargs="+", choices=CHOICES, default=(), metavar="NAME",
        help="what is analyzed of every trial as it finishes, so that it needs no weights for it "
        f"later; of {', '.join(CHOICES)} (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--files", type=_whole(0), default=MOST_FILES, metavar="N",
        help=f"at most so many of {LIMIT // MIB} MiB each: weights and resume points that do not "
        "fit are left out, rows never; 0 sets no limit (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--save-every", type=_positive, default=Limits.save_s, metavar="SECONDS",
        help="between resume points (default: %(default)g)",
    )  # fmt: skip
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: need a number above 0")
    return value


def _whole(least: int) -> Any:
    def convert(text: str) -> int:
        if not (text.isdecimal() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r}: need a whole number, {least} or more")
        return int(text)

    return convert


def say(line: str) -> None:
    print(f"grok: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(started=STARTED))
