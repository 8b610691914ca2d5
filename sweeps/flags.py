"""Flags that the scripts share: config fields, places, names."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from grokmodel.image.config import ConfigError, TrialConfig
from service.schedule.plan import MAX_TRIALS


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where results go, where data are, and on what is computed."""
    parser.add_argument(
        "--store", help="folder or s3://bucket/prefix (default: GROK_STORE, ./runs)"
    )
    parser.add_argument("--data-root", help="folder of EMNIST / Kuzushiji-49 files (GROK_DATA)")
    parser.add_argument(
        "--gpus",
        type=int,
        metavar="N",
        help="plan for N GPUs, which an autoscaling cluster starts (default: those that are there)",
    )


def add_fields(parser: argparse.ArgumentParser, title: str, nargs: str | None) -> None:
    """Every config field as a flag, with one value or, with nargs `+`, several."""
    group = parser.add_argument_group(title)
    for field in dataclasses.fields(TrialConfig):
        convert: Any = {"int": int, "float": float, "bool": _bool, "str": str}[str(field.type)]
        default = f"default {field.default}"
        names = [f"--{field.name.replace('_', '-')}"]
        group.add_argument(*names, dest=field.name, type=convert, nargs=nargs, help=default)


def given_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The config fields that were given as flags."""
    given = {f.name: getattr(args, f.name) for f in dataclasses.fields(TrialConfig)}
    return {name: values for name, values in given.items() if values is not None}


def seeds(count: int) -> list[int]:
    """What `--seeds` stands for."""
    if not 1 <= count <= MAX_TRIALS:
        raise ConfigError("--seeds", count, f"from 1 to {MAX_TRIALS}")
    return list(range(count))


def check_gpus(args: argparse.Namespace) -> None:
    if args.gpus is not None and args.gpus < 1:
        raise ConfigError("--gpus", args.gpus, "1 or more; left out, those that are there")


def say(line: str) -> None:
    print(f"grok: {line}", flush=True)


def _bool(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise argparse.ArgumentTypeError(f"{text!r}: need true or false")
