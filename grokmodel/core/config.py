"""What the config of any trial has, whatever its model: identity, optimizer, budget and seed."""

from __future__ import annotations

import abc
import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, cast

from grokmodel.core.fields import (
    BELOW_UNIT,
    NOT_NEGATIVE,
    POSITIVE,
    Range,
    declare,
    fields_of,
    typed,
)
from grokmodel.core.outcome import OF_PAIRS, CurveNames
from grokmodel.errors import ConfigError

SCIENCE_VERSION = 3
"""Raised whenever the meaning of a result changes; part of every `trial_id`."""

FIRST_FAMILY = "image"
"""The family of trials from before there were others."""
OPTIMIZERS = ("adamw", "grokfast", "muon", "sgd")
Shape = TypeVar("Shape")
MAX_STEPS = 2**31 - 1
"""Noise is keyed by the step as an int32."""
MAX_SEED = 2**31 - 2
"""Noise is keyed by the seed as an int32."""


def declare_family(name: str) -> Any:
    """Declare the field that says of which family the trials of a config class are."""
    return declare(
        name,
        "kind of trial, with data and a model of its own",
        choices=(name,),
        is_axis=False,
        before=FIRST_FAMILY,
    )


@functools.cache
def _checks(config_class: Any) -> list[tuple[str, type[Any], Any, Any, tuple[str, ...]]]:
    """Name, type, smallest and largest value and choices of every field."""
    return [
        (f.name, f.type, f.bounds and f.bounds.low, f.bounds and f.bounds.high, f.choices)
        for f in fields_of(config_class).values()
    ]


@functools.cache
def _identity(config_class: Any) -> list[tuple[str, Any]]:
    """Every field by name, and the value at which it is no part of the identity."""
    return sorted((f.name, f.before) for f in fields_of(config_class).values())


@dataclass(frozen=True, kw_only=True)
class Config(abc.ABC):
    """Everything that can change the outcome of one trial, of whatever model: the base of them.

    Two configs with equal fields have the same `trial_id` and the same result, so running a trial
    again is a no-op. Every number that a result depends on is a field: there are no hidden
    constants.

    Raises:
        ConfigError: on construction, naming the first field at fault, its value, what is allowed.
    """

    worth_compiling: ClassVar[float] = math.inf
    """`cost` of all steps of a trial from which on compiled ones pay on a CPU."""
    curve_names: ClassVar[CurveNames] = OF_PAIRS

    family: str = declare_family(FIRST_FAMILY)
    optimizer: str = declare(
        "adamw",
        "`adamw`, which is Adam at weight decay 0; `grokfast`: AdamW on gradients whose slow part "
        "is amplified; `muon`: orthogonalized momentum for the matrices inside the blocks, AdamW "
        "for the rest; `sgd`: the gradient as it is, with decoupled decay",
        choices=OPTIMIZERS,
    )
    grokfast_decay: float = declare(
        0.98, "decay of the average that is the gradient's slow part", bounds=BELOW_UNIT
    )
    grokfast_gain: float = declare(
        2.0, "how many times the slow part is added to the gradient", bounds=NOT_NEGATIVE
    )
    muon_momentum: float = declare(0.95, "momentum of Muon", bounds=BELOW_UNIT)
    lr: float = declare(1e-3, "learning rate after warm-up", bounds=POSITIVE)
    warmup: int = declare(
        10, "steps of linear learning-rate warm-up", unit="steps", bounds=Range.whole(0, MAX_STEPS)
    )
    cooldown: int = declare(
        0,
        "last steps, in which the learning rate falls linearly toward 0; 0 for none, at most "
        "`steps`",
        unit="steps",
        bounds=Range.whole(0, MAX_STEPS),
    )
    weight_decay: float = declare(1.0, "decoupled weight decay, as in AdamW", bounds=NOT_NEGATIVE)
    late_decay_from: int = declare(
        0,
        "steps after which `late_weight_decay` replaces `weight_decay`; 0 for never. A decay that "
        "favors the rule may keep a model from telling many images apart",
        unit="steps",
        bounds=Range.whole(0, MAX_STEPS),
    )
    late_weight_decay: float = declare(
        0.0, "weight decay after `late_decay_from` steps; 0 if that is never", bounds=NOT_NEGATIVE
    )
    weight_clip: float = declare(
        0.0,
        "largest root mean square of the weights of a matrix inside the blocks, in units of "
        "1 / sqrt(fan_in) like the spread they start with: after a step, larger ones are scaled "
        "back; 0 for no clipping",
        bounds=NOT_NEGATIVE,
    )
    beta1: float = declare(0.9, "AdamW first-moment decay", bounds=BELOW_UNIT)
    beta2: float = declare(0.98, "AdamW second-moment decay", bounds=BELOW_UNIT)
    ema: float = declare(
        0.99,
        "decay of the weight average that is evaluated; 0 evaluates the raw weights",
        bounds=BELOW_UNIT,
    )
    steps: int = declare(
        7000,
        "optimizer steps, at most: a trial that has settled, its late decay begun, stops earlier "
        "unless it has a cool-down",
        unit="steps",
        bounds=Range.whole(1, MAX_STEPS),
    )
    eval_every: int = declare(
        250,
        "steps between evaluations; divides `steps`",
        unit="steps",
        bounds=Range.whole(1, MAX_STEPS),
    )
    seed: int = declare(
        0,
        "seeds split, initial weights and all noise of this trial",
        bounds=Range.whole(0, MAX_SEED),
    )

    def __post_init__(self) -> None:
        values, kind_of = vars(self), cast(Any, type(self))
        # a large sweep makes many configs, so what needs no change is passed over quickly;
        # a float above 0 is neither NaN nor -0.0
        for name, kind, low, high, choices in _checks(kind_of):
            value = values[name]
            if type(value) is not kind or (kind is float and not value > 0):
                values[name] = value = typed(name, kind, value)
            if (low is not None and not low <= value <= high) or (choices and value not in choices):
                raise ConfigError(name, value, fields_of(kind_of)[name].allowed)
        self.check()
        values.update(self.canonical())

    @property
    @abc.abstractmethod
    def shape(self) -> Hashable:
        """What must be equal for trials to train as one fused program."""

    @property
    @abc.abstractmethod
    def activations(self) -> int:
        """Numbers of a wide activation over all examples that analyses look at."""

    def strict_evaluated(self) -> int | None:
        """Strict pairs that an evaluation reads; None where trials are not about pairs."""
        return None

    @property
    def kind(self) -> Hashable:
        """What must be equal for trials to be analyzed together."""
        return self.shape

    @property
    @abc.abstractmethod
    def cost(self) -> float:
        """Relative cost of one step, to order packs: multiplications of one forward pass."""

    def check(self) -> None:
        """Raise ConfigError for the first field that does not go with another."""
        if self.steps % self.eval_every:
            allowed = f"a multiple of eval_every = {self.eval_every}"
            raise ConfigError("steps", self.steps, allowed)
        if self.late_decay_from and self.lr * self.weight_decay >= 1:
            bound = f"below 1 / lr = {1 / self.lr:g} before a late decay, or no weights are left"
            raise ConfigError("weight_decay", self.weight_decay, bound)
        if self.cooldown > self.steps:
            raise ConfigError("cooldown", self.cooldown, f"at most steps = {self.steps}; 0 is none")

    def canonical(self) -> dict[str, Any]:
        """Fields that make no difference, at the value that stands for this: one model, one id."""
        out: dict[str, Any] = {} if self.late_decay_from else {"late_weight_decay": 0.0}
        if self.optimizer != "grokfast":
            out |= {"grokfast_decay": 0.98, "grokfast_gain": 2.0}
        if self.optimizer != "muon":
            out["muon_momentum"] = 0.95
        if self.optimizer == "sgd":
            out |= {"beta1": 0.9, "beta2": 0.98}
        return out

    @functools.cached_property
    def trial_id(self) -> str:
        """16 hex digits: a hash of SCIENCE_VERSION and of every field that is not as it was before
        there was the field."""
        values, kind_of = vars(self), cast(Any, type(self))
        fields = {n: values[n] for n, before in _identity(kind_of) if values[n] != before}
        identity = {"science_version": SCIENCE_VERSION} | fields
        return hashlib.sha256(_compact_json(identity).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        values, kind_of = vars(self), cast(Any, type(self))  # with it lie the cached properties
        return {name: values[name] for name, *_ in _checks(kind_of)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; a field that is missing has its default.

        Raises:
            ConfigError: a value is not allowed, or a key is no field.
        """
        known = fields_of(cast(Any, cls))
        for key in values:
            if key not in known:
                raise ConfigError(key, values[key], f"one of the fields {', '.join(known)}")
        return cls(**values)


def redeclare(name: str, default: Any, meaning: str = "") -> Any:
    """Declare a field of any trial anew, in a family that has another default or more to say."""
    declared = fields_of(cast(Any, Config))[name]
    declared = dataclasses.replace(declared, meaning=meaning or declared.meaning)
    return dataclasses.field(default=default, metadata={"declared": declared})


def shape_of(config: Config, shape_class: Callable[..., Shape]) -> Shape:
    """The fields of a config that a dataclass of its shape has; one object for all configs that
    agree in them."""
    values = vars(config)
    shape: Shape = _shared(shape_class, *(values[name] for name in _names(shape_class)))
    return shape


@functools.lru_cache(maxsize=1024)
def _shared(shape_class: Callable[..., Any], *values: Any) -> Any:
    return shape_class(*values)


@functools.cache
def _names(shape_class: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(shape_class))


_compact_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def check_divides(values: Mapping[str, Any], field: str, of: str) -> None:
    """Raise ConfigError unless a field divides another."""
    if values[of] % values[field]:
        raise ConfigError(field, values[field], f"a divisor of {of} = {values[of]}")
