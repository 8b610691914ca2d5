"""Flags that the scripts share: config fields, places, names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from grokmodel.configs import AXES, CONFIGS
from grokmodel.core.config import FIRST_FAMILY
from grokmodel.core.fields import Field, fields_of
from grokmodel.errors import ConfigError
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
    """Every axis of every family as a flag, with one value or, with nargs `+`, several."""
    parser.add_argument(
        "--family",
        choices=tuple(CONFIGS),
        help=f"kind of trials (default: that of the preset, {FIRST_FAMILY}; docs/families.md)",
    )
    parser.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="settings that go together, which flags override (docs/recipe.md); without one, the "
        "defaults below, which are the paper's regime",
    )
    added: set[str] = set()
    for family, kind in CONFIGS.items():
        of_all = family == FIRST_FAMILY
        group = parser.add_argument_group(title if of_all else f"of family {family} alone")
        for name, field in fields_of(kind).items():
            if name in added or not field.is_axis:
                continue
            added.add(name)
            convert: Any = _bool if field.type is bool else field.type
            group.add_argument(
                flag_of(name), dest=name, type=convert, nargs=nargs,
                metavar=field.type.__name__.upper(), help=_help(field),
            )  # fmt: skip


def flag_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _help(field: Field) -> str:
    unit = f"; unit: {field.unit}" if field.unit and field.unit not in field.meaning else ""
    defaults = {n: fields_of(kind)[field.name].default for n, kind in CONFIGS.items()
                if field.name in fields_of(kind)}  # fmt: skip
    others = "".join(f"; {n}: {v}" for n, v in defaults.items() if v != field.default)
    text = f"{field.meaning}{unit}; {field.allowed} (default: {field.default}{others})"
    return text.replace("%", "%%")


def family_fields(args: argparse.Namespace, usual: str = FIRST_FAMILY) -> dict[str, str]:
    """The family of the trials as a config field, if it is not the first.

    Args:
        usual: the family that they have unless a flag says so.

    Raises:
        ConfigError: a flag is of another family.
    """
    family = args.family or usual
    known = fields_of(CONFIGS[family])
    for name, value in given_fields(args).items():
        if name not in known:
            having = [n for n, kind in CONFIGS.items() if name in fields_of(kind)]
            words = f"left out: it is a setting of {' and '.join(having)}, not of {family}"
            raise ConfigError(flag_of(name), value, words)
    if args.recipe and family != FIRST_FAMILY:
        raise ConfigError("--recipe", args.recipe, f"left out: it is of {FIRST_FAMILY}")
    return {} if family == FIRST_FAMILY else {"family": family}


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
