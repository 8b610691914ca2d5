"""A config field is declared once: its type, default, range, unit and meaning.

From the declaration come validation, the identity of a trial, its flag and help text, its MLflow
param and its table column. Standard library only, because a command that prints help loads this.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from numbers import Real
from typing import Any

from grokmodel.errors import ConfigError

SMALLEST, LARGEST, BELOW_ONE = 2.0**-126, (2 - 2.0**-23) * 2.0**127, 1 - 2.0**-24
"""Training is in float32: what is smaller is 0 there or imprecise, what is larger infinite, what is
nearer to 1 is 1."""


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of a number, and both in words."""

    low: float
    high: float
    words: str

    @classmethod
    def whole(cls, low: int, high: int) -> Range:
        return cls(low, high, f"from {low} to {high}")


_AS_FLOAT32 = ", as float32 too"
INSIDE_UNIT = Range(SMALLEST, BELOW_ONE, f"inside (0, 1){_AS_FLOAT32}")
UP_TO_ONE = Range(SMALLEST, 1.0, f"in (0, 1]{_AS_FLOAT32}")
BELOW_UNIT = Range(0.0, BELOW_ONE, f"in [0, 1){_AS_FLOAT32}")
POSITIVE = Range(SMALLEST, LARGEST, f"above 0 and finite{_AS_FLOAT32}")
NOT_NEGATIVE = Range(0.0, LARGEST, f"0 or more and finite{_AS_FLOAT32}")
FINITE = Range(-LARGEST, LARGEST, f"finite{_AS_FLOAT32}")


@dataclass(frozen=True)
class Field:
    """One declared field of a config."""

    meaning: str
    """One sentence, without a full stop."""
    unit: str = ""
    choices: tuple[str, ...] = ()
    bounds: Range | None = None
    is_axis: bool = True
    """Users may set it: it is a flag and an axis of sweeps."""
    before: Any = None
    """What it was for trials from before there was the field: at this value it is no part of
    `trial_id`, which stays what it was."""
    name: str = ""
    type: type[Any] = object
    default: Any = None

    @property
    def allowed(self) -> str:
        """The values it may have, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return self.bounds.words if self.bounds else "true or false"


def declare(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    choices: tuple[str, ...] = (),
    bounds: Range | None = None,
    is_axis: bool = True,
    before: Any = None,
) -> Any:
    """Declare a field of a Config; see `Field`."""
    declared = Field(meaning, unit, choices, bounds, is_axis, before)
    return dataclasses.field(default=default, metadata={"declared": declared})


_TYPES: dict[str, type[Any]] = {"int": int, "float": float, "bool": bool, "str": str}


@functools.cache
def fields_of(config_class: Any) -> dict[str, Field]:
    """Name -> declaration of all fields of a config class: its own first, then the inherited."""
    bases = filter(dataclasses.is_dataclass, config_class.__bases__)
    inherited = {f.name for base in bases for f in dataclasses.fields(base)}
    fields = sorted(dataclasses.fields(config_class), key=lambda f: f.name in inherited)
    return {
        f.name: dataclasses.replace(
            f.metadata["declared"], name=f.name, type=_TYPES[str(f.type)], default=f.default
        )
        for f in fields
    }


def typed(name: str, wanted: type[Any], value: object) -> Any:
    """Coerce lossless numbers (3 -> 3.0, numpy scalars) so that equal configs hash equally."""
    if wanted is bool or wanted is str:
        if not isinstance(value, wanted):
            raise ConfigError(name, value, f"a {wanted.__name__}")
        return value
    # numpy's scalars are registered as real numbers, its booleans are not
    same = False
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = wanted(value)
            same = bool(number == value)  # false of NaN, and of 1.5 where an int is wanted
        except (TypeError, ValueError, OverflowError):
            same = False
    if not same:
        raise ConfigError(name, value, f"of type {wanted.__name__}")
    return number + 0.0 if wanted is float else number  # -0.0 becomes 0.0
