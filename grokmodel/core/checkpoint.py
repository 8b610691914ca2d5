"""A member as bytes and back: safetensors with a JSON header, never pickle.

Two kinds of file. A *state* holds everything that resuming needs, bit for bit: weights, both AdamW
moments, weight average, step and curve (noise is a function of the step, so no generator state). A
*snapshot* holds what analyses need: averaged weights and curve. A checksum tells a damaged file
from one that only looks like a member.

Shapes: n parameters of a member, E evaluations.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from grokmodel.core import checksummed
from grokmodel.core.config import FIRST_FAMILY, SCIENCE_VERSION, Config
from grokmodel.core.member import Member
from grokmodel.core.optim import OptimState, slow_size
from grokmodel.core.outcome import EVALUATION_FIELDS, NEEDED_FIELDS, Evaluation

log = logging.getLogger("grok")

FORMAT = "grok-member-3"
STATE_ROWS = ("weights", "first", "second", "slow", "average")

M_ = TypeVar("M_", bound=Member[Any])


class CheckpointError(ValueError):
    """The bytes are not a checkpoint of this version. Names their origin, what was found and what
    is needed."""

    def __init__(self, origin: str | Path, problem: str) -> None:
        super().__init__(origin, problem)
        self.origin = str(origin)
        """Where the bytes are from: the column `checkpoint` of `failures`."""

    def __str__(self) -> str:
        return "{}: {}".format(*self.args)


def dump_state(member: Member[Any]) -> bytes:
    """Everything that resuming needs."""
    tensors = {name: getattr(member.state, name)[0] for name in STATE_ROWS}
    return _dump(member, tensors | {"step": member.state.step})


def dump_snapshot(member: Member[Any]) -> bytes:
    """What analyses need."""
    return _dump(member, {"average": member.state.average[0]})


def load_state(kind: type[M_], data: bytes, origin: str | Path = "checkpoint") -> M_:
    """Inverse of `dump_state`.

    Args:
        kind: class of the member.

    Raises:
        CheckpointError: damaged, cut short, of another format or science version, or not a state.
    """
    config, tensors, curve, wall_s = _load(kind, data, origin)
    n = kind.layout(config).n
    sizes = dict.fromkeys(STATE_ROWS, n) | {"slow": slow_size(n, config.optimizer)}
    rows = {name: _row(tensors, name, size, origin) for name, size in sizes.items()}
    step = tensors.get("step")
    if step is None or step.shape != (1,) or step.dtype != torch.int64:
        raise CheckpointError(origin, "no step counter; need a state, not a snapshot")
    if int(step) != (curve[-1].step if curve else 0):
        raise CheckpointError(origin, f"step {int(step)}; need that of the curve's last row")
    return kind(config, OptimState(step=step, **rows), curve, wall_s)


def load_snapshot(kind: type[M_], data: bytes, origin: str | Path = "checkpoint") -> M_:
    """Member with averaged weights in `state.average`; reads states and snapshots alike."""
    config, tensors, curve, wall_s = _load(kind, data, origin)
    average = _row(tensors, "average", kind.layout(config).n, origin)
    state = OptimState.start(average)
    state.step += curve[-1].step if curve else 0
    return kind(config, state, curve, wall_s)


def family_in(data: bytes, origin: str | Path = "checkpoint") -> object:
    """The name of the family that a checkpoint says it is of.

    Raises:
        CheckpointError: it is no checkpoint of this version.
    """
    config = _header(data, origin).get("config")
    return config.get("family", FIRST_FAMILY) if isinstance(config, dict) else None


def resumed(kind: type[M_], config: Config, data: bytes, origin: str | Path) -> M_:
    """The trial at its resume point; at its start, with a warning, if that cannot be used."""
    try:
        member = load_state(kind, data, origin)
    except CheckpointError as error:
        log.warning("starting trial %s afresh: %s", config.trial_id, error)
        return kind.start(config)
    if member.config != config:
        log.warning("starting trial %s afresh: %s is of another config", config.trial_id, origin)
        return kind.start(config)
    return member


def is_snapshot_step(step: int, every: int) -> bool:
    """Log-spaced steps at which weights are kept: two an octave, 0, 1, 2, 3, 4, 6, 8, 12, ...
    times `every`."""
    rounds = step // every
    while rounds > 3 and rounds % 2 == 0:
        rounds //= 2
    return rounds <= 3


def _dump(member: Member[Any], tensors: dict[str, Tensor]) -> bytes:
    rows = [[getattr(e, name) for name in EVALUATION_FIELDS] for e in member.curve]
    curve = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(EVALUATION_FIELDS))
    header = {
        "format": FORMAT,
        "science_version": SCIENCE_VERSION,
        "config": member.config.to_dict(),
        "curve_fields": EVALUATION_FIELDS,
        "wall_s": member.wall_s,
    }
    return checksummed.dump({**tensors, "curve": curve}, header)


def _load(
    kind: type[Member[Any]], data: bytes, origin: str | Path
) -> tuple[Any, dict[str, Tensor], list[Evaluation], float]:
    header = _header(data, origin)
    try:
        tensors = checksummed.load(data)
        config = kind.config_class.from_dict(header["config"])
        fields = tuple(header["curve_fields"])
        curve = tensors.pop("curve")
        wall_s = float(header["wall_s"])
    except (checksummed.DamagedError, LookupError, TypeError, ValueError, OverflowError) as error:
        problem = f"damaged ({error}); need a file written by grok"
        raise CheckpointError(origin, problem) from error
    if not 0 <= wall_s < math.inf:
        raise CheckpointError(origin, f"wall_s is {wall_s}; need seconds, 0 or more")
    return config, tensors, _curve(curve, fields, config, origin), wall_s


def _header(data: bytes, origin: str | Path) -> dict[str, Any]:
    try:
        header = checksummed.header(data)
        found = (header["format"], header["science_version"])
    except (checksummed.DamagedError, KeyError) as error:
        raise CheckpointError(origin, f"not a grok checkpoint ({error})") from error
    if found != (need := (FORMAT, SCIENCE_VERSION)):
        raise CheckpointError(origin, f"format and science version {found}; need {need}")
    return header


def _curve(
    curve: Tensor, fields: tuple[object, ...], config: Config, origin: str | Path
) -> list[Evaluation]:
    """Evaluations, whose steps ascend and are within the trial's budget."""
    # a curve from before a field was there lacks the last ones
    known = fields == EVALUATION_FIELDS[: len(fields)] and len(fields) >= NEEDED_FIELDS
    shaped = known and curve.ndim == 2 and curve.shape[1] == len(fields)
    if not shaped or curve.dtype != torch.float64:
        raise CheckpointError(origin, f"curve of {fields}; need float64 of {EVALUATION_FIELDS}")
    steps = curve[:, 0]
    whole = bool((steps == steps.round()).all() and (steps >= 0).all())
    if not whole or not (steps <= config.steps).all() or not (steps.diff() > 0).all():
        found = f"curve at steps {steps.tolist()[:9]}"
        raise CheckpointError(origin, f"{found}; need ascending ones, up to {config.steps}")
    return [Evaluation(int(row[0]), *row[1:]) for row in curve.tolist()]


def _row(tensors: dict[str, Tensor], name: str, size: int, origin: str | Path) -> Tensor:
    row = tensors.get(name)
    if row is None or row.shape != (size,) or row.dtype != torch.float32:
        found = None if row is None else (tuple(row.shape), row.dtype)
        raise CheckpointError(origin, f"{name} is {found}; need float32 of shape ({size},)")
    return row[None]
