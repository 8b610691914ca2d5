"""The families of trials as programs: from a config to what trains it.

Uses: core, and of each family its `family` module once it is needed. Used by: whoever trains, saves
or loads trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from grokmodel.configs import CONFIGS
from grokmodel.core import checkpoint
from grokmodel.core.checkpoint import CheckpointError
from grokmodel.core.config import Config
from grokmodel.core.execution import AUTO
from grokmodel.core.family import Family, Inputs
from grokmodel.core.member import Member
from grokmodel.core.training import Round
from grokmodel.errors import shown


def family_of(config: Config) -> Family:
    """The family of a trial."""
    return _family(config.family)


@cache
def _family(name: str) -> Family:
    found: Family = import_module(f"grokmodel.{name}.family").FAMILY
    return found


def start(config: Config) -> Member[Any]:
    """The trial before its first step."""
    return family_of(config).member.start(config)


def train(
    members: Sequence[Member[Any]],
    inputs: Inputs,
    device: torch.device,
    mode: str = AUTO,
) -> Iterator[Round[Any]]:
    """Train members of one shape until each has finished; see `Family.train`."""
    if not members:
        return iter(())
    return family_of(members[0].config).train(members, inputs, device, mode)


def resumed(config: Config, data: bytes, origin: str | Path) -> Member[Any]:
    """The trial at its resume point; see `checkpoint.resumed`."""
    return checkpoint.resumed(family_of(config).member, config, data, origin)


def load_snapshot(data: bytes, origin: str | Path = "checkpoint") -> Member[Any]:
    """The member of a snapshot, of whatever family; see `checkpoint.load_snapshot`."""
    name = checkpoint.family_in(data, origin)
    if not isinstance(name, str) or name not in CONFIGS:
        raise CheckpointError(origin, f"of family {shown(name)}; need one of {', '.join(CONFIGS)}")
    return checkpoint.load_snapshot(_family(name).member, data, origin)
