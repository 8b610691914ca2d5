"""Flags that the scripts share: config fields, places, names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from grokmodel.core.config import Field
from grokmodel.errors import ConfigError
from grokmodel.image.config import AXES
from service.schedule.plan import MAX_TRIALS
from sweeps.recipes import RECIPES, Block


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where results go, where data are, and on what is computed."""
    parser.add_argument(
        "--store", help="folder or s3://bucket/prefix (default: GROK_STORE, ./runs)"
    )
    parser.add_argument(
        "--data-root", help="folder of EMNIST / Kuzushiji-49 / Omniglot files (GROK_DATA)"
    )
    parser.add_argument(
        "--gpus",
        type=int,
        metavar="N",
        help="plan for N GPUs, which an autoscaling cluster starts (default: those that are there)",
    )


def add_fields(parser: argparse.ArgumentParser, title: str, nargs: str | None) -> None:
    """Every axis as a flag, with one value or, with nargs `+`, several."""
    group = parser.add_argument_group(title)
    group.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="settings that go together, which flags override (docs/recipe.md); without one, the "
        "defaults below, which are the paper's regime",
    )
    for name, field in AXES.items():
        convert: Any = _bool if field.type is bool else field.type
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(
            flag, dest=name, type=convert, nargs=nargs, metavar=field.type.__name__.upper(),
            help=_help(field),
        )  # fmt: skip


def _help(field: Field) -> str:
    unit = f"; unit: {field.unit}" if field.unit and field.unit not in field.meaning else ""
    text = f"{field.meaning}{unit}; {field.allowed} (default: {field.default})"
    return text.replace("%", "%%")


def given_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The config fields that were given as flags."""
    given = {name: getattr(args, name) for name in AXES}
    return {name: values for name, values in given.items() if values is not None}


def recipe_fields(args: argparse.Namespace) -> Block:
    """Those of the recipe, if one was named, a value each."""
    return RECIPES[args.recipe] if args.recipe else {}


def seeds(count: int, fields: Mapping[str, Any]) -> list[int]:
    """What `--seeds` stands for, beside the fields that are given.

    Raises:
        ConfigError: they are none, too many, or given one by one too.
    """
    if "seed" in fields:
        raise ConfigError("--seeds", count, "left out when --seed is given")
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
