"""One trial is one `TrialConfig`; its `trial_id` is the trial's identity everywhere.

Two configs with equal fields have the same id and the same result, so running a trial again is a
no-op. Every number that a result depends on is a field here: there are no hidden constants.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

SCIENCE_VERSION = 1
"""Raised whenever the meaning of a result changes; part of every `trial_id`."""

OPERATIONS = ("add", "sub", "mul", "div")
DATASETS = (
    "glyphs",
    "emnist",
    "emnist-balanced",
    "emnist-letters",
    "emnist-byclass",
    "kuzushiji49",
)
VARIANTS = ("baseline", "sandwich")
NORMS = ("pre", "ffn", "none")
ACTIVATIONS = ("gelu", "swiglu")
SPLITS = ("ordered", "unordered")
LOSSES = ("x0", "velocity")
T_DISTRIBUTIONS = ("logit-normal", "uniform")

MIN_P = 3
MAX_SIZE = 65_536
"""Largest width, FFN and batch: beyond it a number is more likely a slip than a wish."""
MAX_SEED = 2**31 - 2
"""Noise is keyed by the seed as an int32."""
PRIME_OPERATIONS = ("div",)
"""Operations that are only defined when P is prime (every b != 0 has an inverse)."""


class ConfigError(ValueError):
    """A config field has a value that it cannot have. Names field, value and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} = {value!r} is not allowed: it must be {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Everything that can change the outcome of one trial.

    Raises:
        ConfigError: on construction, naming the first field at fault, its value, what is allowed.
    """

    op: str = "add"
    """Operation on Z_P that gives c from a and b: one of OPERATIONS."""
    data: str = "glyphs"
    """Where the symbol images come from: one of DATASETS (`emnist` is its by-merge set)."""
    P: int = 31
    """Modulus: number of symbols, 3 or more; a prime for `div`."""
    N: int = 1
    """Images per symbol, 1 or more."""
    train_fraction: float = 0.6
    """Share R of all pairs (a, b) that trains, in (0, 1); the rest validates."""
    split: str = "ordered"
    """`ordered`: (a, b) and (b, a) fall independently; `unordered`: always on the same side."""

    side: int = 16
    """Image side in pixels, 8 to 64."""
    patch: int = 0
    """Token side in pixels; divides `side`. 0 stands for `side`: one token an image."""
    width: int = 128
    """Residual stream width D; divisible by `heads`."""
    depth: int = 1
    """Transformer blocks, 1 to 8."""
    heads: int = 1
    """Attention heads."""
    ffn: int = 128
    """Hidden units of the feed-forward network."""
    variant: str = "baseline"
    """`baseline`: attention, FFN; `sandwich`: one more FFN between embedding and attention."""
    norm: str = "ffn"
    """Where LayerNorm stands: `pre` (attention, FFN and output), `ffn` (FFN only) or `none`."""
    activation: str = "gelu"
    """FFN non-linearity: `gelu` or the gated `swiglu`."""
    init_scale: float = 0.5
    """Weights start as N(0, init_scale^2 / fan_in), > 0."""
    input_gate: bool = True
    """Scale the noisy input by (1 - t), so that pure noise enters as zero."""

    loss: str = "x0"
    """`x0`: |x0_hat - x0|^2; `velocity`: the same over max(t, t_clip)^2."""
    t_distribution: str = "logit-normal"
    """Distribution of the noise level t while training: `logit-normal` or `uniform`."""
    t_mean: float = 3.0
    """Mean of logit(t) for `logit-normal`."""
    t_std: float = 2.0
    """Standard deviation of logit(t) for `logit-normal`, > 0."""
    t_levels: int = 64
    """Distinct noise levels in a batch, each shared by batch / t_levels rows; divides `batch`."""
    t_clip: float = 0.05
    """Smallest t that divides in the `velocity` loss, in (0, 1)."""
    sample_steps: int = 10
    """Euler steps per sample in the evaluations during training."""
    final_sample_steps: int = 50
    """Euler steps per sample in the second, final evaluation."""

    batch: int = 512
    """Training triplets a step."""
    steps: int = 5000
    """Optimiser steps, at most; a settled trial stops earlier."""
    lr: float = 1e-3
    """AdamW learning rate after warm-up, > 0."""
    warmup: int = 10
    """Steps of linear learning-rate warm-up, 0 or more."""
    weight_decay: float = 1.0
    """AdamW decoupled weight decay, 0 or more."""
    beta1: float = 0.9
    """AdamW first-moment decay, in [0, 1)."""
    beta2: float = 0.98
    """AdamW second-moment decay, in [0, 1)."""
    ema: float = 0.98
    """Decay of the weight average that is evaluated, in [0, 1); 0 evaluates the raw weights."""
    eval_every: int = 250
    """Steps between evaluations; divides `steps`."""
    eval_pairs: int = 512
    """Pairs per evaluation and side (training / validation), at most: a random sample."""
    seed: int = 0
    """Seeds split, initial weights and all noise of this trial; from 0 to 2^31 - 2."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _typed(field, getattr(self, field.name)))
        if self.patch == 0:
            object.__setattr__(self, "patch", self.side)
        check_config(self)

    @property
    def shape(self) -> PackShape:
        """What must be equal for trials to train as one fused program."""
        return PackShape(**{f.name: getattr(self, f.name) for f in dataclasses.fields(PackShape)})

    @property
    def tokens_per_image(self) -> int:
        return (self.side // self.patch) ** 2

    @property
    def trial_id(self) -> str:
        """16 hex digits: a hash of every field and of SCIENCE_VERSION."""
        identity = {"science_version": SCIENCE_VERSION, **self.to_dict()}
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Short name for people, such as `P23 N1 w128 wd3 R0.8 s0`."""
        return (
            f"P{self.P} N{self.N} w{self.width} wd{self.weight_decay:g} "
            f"R{self.train_fraction:g} s{self.seed}"
        )

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrialConfig:
        """Inverse of `to_dict`; an unknown key is a ConfigError."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(key, values[key], f"one of the fields {', '.join(known)}")
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class PackShape:
    """The fields of TrialConfig that fix tensor shapes and the program; all else is per member."""

    side: int
    patch: int
    width: int
    depth: int
    heads: int
    ffn: int
    variant: str
    norm: str
    activation: str
    input_gate: bool
    loss: str
    batch: int
    t_levels: int
    sample_steps: int
    final_sample_steps: int
    eval_every: int

    @property
    def tokens_per_image(self) -> int:
        return (self.side // self.patch) ** 2

    @property
    def token_dim(self) -> int:
        return self.patch**2


def is_prime(n: int) -> bool:
    return n >= 2 and all(n % k for k in range(2, int(n**0.5) + 1))


def _typed(field: dataclasses.Field[Any], value: object) -> object:
    """Coerce lossless numbers (3 -> 3.0, numpy scalars) so that equal configs hash equally."""
    wanted = {"int": int, "float": float, "bool": bool, "str": str}[str(field.type)]
    if wanted is bool or wanted is str:
        if not isinstance(value, wanted):
            raise ConfigError(field.name, value, f"a {wanted.__name__}")
        return value
    if isinstance(value, bool | str):
        raise ConfigError(field.name, value, f"of type {wanted.__name__}")
    try:
        number = wanted(value)
        same = number == value
    except (TypeError, ValueError, OverflowError):
        same = False
    if not same:  # also true of NaN, and of 1.5 where an int is wanted
        raise ConfigError(field.name, value, f"of type {wanted.__name__}")
    return number + 0.0 if wanted is float else number  # -0.0 becomes 0.0


def check_config(c: TrialConfig) -> None:
    """Raise ConfigError for the first field of `c` that is out of range."""
    choices = {
        "op": OPERATIONS,
        "data": DATASETS,
        "split": SPLITS,
        "variant": VARIANTS,
        "norm": NORMS,
        "activation": ACTIVATIONS,
        "loss": LOSSES,
        "t_distribution": T_DISTRIBUTIONS,
    }
    for field, allowed in choices.items():
        if getattr(c, field) not in allowed:
            raise ConfigError(field, getattr(c, field), f"one of {', '.join(allowed)}")
    at_least = {"P": MIN_P, "N": 1, "patch": 1, "heads": 1}
    at_least |= {"steps": 1, "eval_every": 1, "eval_pairs": 1}
    at_least |= {"t_levels": 1, "warmup": 0}
    for field, low in at_least.items():
        if getattr(c, field) < low:
            raise ConfigError(field, getattr(c, field), f"{low} or more")
    ranges = [("side", 8, 64), ("depth", 1, 8), ("seed", 0, MAX_SEED)]
    ranges += [("width", 2, MAX_SIZE), ("ffn", 1, MAX_SIZE), ("batch", 1, MAX_SIZE)]
    ranges += [("sample_steps", 1, 1000), ("final_sample_steps", 1, 1000)]
    for field, low, high in ranges:
        if not low <= getattr(c, field) <= high:
            raise ConfigError(field, getattr(c, field), f"from {low} to {high}")
    finite = float("inf")
    for field in ("train_fraction", "t_clip"):
        if not 0 < getattr(c, field) < 1:
            raise ConfigError(field, getattr(c, field), "inside (0, 1)")
    for field in ("beta1", "beta2", "ema"):
        if not 0 <= getattr(c, field) < 1:
            raise ConfigError(field, getattr(c, field), "in [0, 1)")
    for field in ("lr", "init_scale", "t_std"):
        if not 0 < getattr(c, field) < finite:
            raise ConfigError(field, getattr(c, field), "above 0 and finite")
    if not 0 <= c.weight_decay < finite:
        raise ConfigError("weight_decay", c.weight_decay, "0 or more and finite")
    if not -finite < c.t_mean < finite:
        raise ConfigError("t_mean", c.t_mean, "finite")
    if c.side % c.patch:
        raise ConfigError("patch", c.patch, f"a divisor of side = {c.side}")
    if c.batch % c.t_levels:
        raise ConfigError("t_levels", c.t_levels, f"a divisor of batch = {c.batch}")
    if c.steps % c.eval_every:
        raise ConfigError("steps", c.steps, f"a multiple of eval_every = {c.eval_every}")
    if c.width % c.heads:
        raise ConfigError("heads", c.heads, f"a divisor of width = {c.width}")
    if c.width % 2:
        raise ConfigError("width", c.width, "even (time features come in sine/cosine pairs)")
    if c.op in PRIME_OPERATIONS and not is_prime(c.P):
        raise ConfigError("P", c.P, f"a prime for op = {c.op!r}")
