"""One trial is one `TrialConfig`; its `trial_id` is the trial's identity everywhere.

Two configs with equal fields have the same id and the same result, so running a trial again is a
no-op. Every number that a result depends on is a field here: there are no hidden constants.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from grokmodel.image.limits import ConfigError, check_values

__all__ = ["FIELD_TYPES", "ConfigError", "PackShape", "TrialConfig"]

SCIENCE_VERSION = 1
"""Raised whenever the meaning of a result changes; part of every `trial_id`."""

LATER_FIELDS: dict[str, Any] = {
    "precision": "float32",
    "alphabet": "plain",
    "sandwich_ffn": 0,
    "sandwich_skip": True,
    "late_decay_from": 0,
    "late_weight_decay": 0.0,
    "decoder_1step": "decoder",
    "cooldown": 0,
    "visible_below": 1.0,
}
"""Fields added when there were results already -> what every trial did before. The identity leaves
them out while they have these values, so that those results keep their ids."""


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
    alphabet: str = "plain"
    """Which symbols come first: `plain`, the order of the data; `distinct`, an order of EMNIST in
    which those that look alike come last (see `alphabets.py`)."""
    P: int = 31
    """Modulus: number of symbols, 3 to 256; a prime for `div`."""
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
    sandwich_ffn: int = 0
    """Hidden units of the sandwich's own FFN, the one before attention; 0 stands for `ffn`, and for
    the baseline, which has none."""
    sandwich_skip: bool = True
    """Residual connection around the sandwich's own FFN; without it, attention sees of an image
    only what that FFN makes of it. True for the baseline."""
    norm: str = "ffn"
    """Where LayerNorm stands: `pre` (attention, FFN and output), `ffn` (FFN only) or `none`."""
    activation: str = "gelu"
    """FFN non-linearity: `gelu` or the gated `swiglu`."""
    init_scale: float = 0.5
    """Weights start as N(0, init_scale^2 / fan_in), > 0."""
    input_gate: bool = True
    """Scale the noisy input by (1 - t), so that pure noise enters as zero."""
    visible_below: float = 1.0
    """Noise level below which the input gate opens, in (0, 1]: the noisy input is scaled by
    max(0, 1 - t / visible_below), so that above it the operands are all that the model sees. 1
    without a gate."""
    precision: str = "float32"
    """Precision of matrix products: `float32` (on CUDA by TF32) or `bfloat16`; weights, moments
    and sums are float32 always."""

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
    decoder_1step: str = "mean"
    """What reads samples of one step where N > 1: `mean`, the nearest class mean; `decoder`, the
    CNN that reads all others. One step from noise gives the expected image, a blend that the CNN
    never saw. At N = 1 both are the same and this is `decoder`."""

    batch: int = 512
    """Training triplets a step."""
    steps: int = 5000
    """Optimiser steps, at most; one that has settled, its late decay begun, stops earlier without a
    cool-down."""
    lr: float = 1e-3
    """AdamW learning rate after warm-up, > 0."""
    warmup: int = 10
    """Steps of linear learning-rate warm-up, 0 or more."""
    cooldown: int = 0
    """Last steps, in which the learning rate falls linearly towards 0: 0, for none, to `steps`."""
    weight_decay: float = 1.0
    """AdamW decoupled weight decay, 0 or more."""
    late_decay_from: int = 0
    """Steps after which `late_weight_decay` takes the place of `weight_decay`; 0 stands for never:
    a decay that presses for the rule may keep a model from telling many images apart."""
    late_weight_decay: float = 0.0
    """Weight decay after `late_decay_from` steps, 0 or more; 0 if that is never."""
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
        values = vars(self)
        for name, wanted in FIELD_TYPES.items():
            value = values[name]
            # a large sweep makes many configs, so what needs no change is passed over quickly;
            # a float above 0 is neither NaN nor -0.0
            if type(value) is not wanted or (wanted is float and not value > 0):
                object.__setattr__(self, name, _typed(name, wanted, value))
        if self.patch == 0:
            object.__setattr__(self, "patch", self.side)
        check_values(vars(self))
        # one model, one id
        if self.variant == "baseline" or self.sandwich_ffn == self.ffn:
            object.__setattr__(self, "sandwich_ffn", 0)
        if self.variant == "baseline":
            object.__setattr__(self, "sandwich_skip", True)
        if not self.input_gate:
            object.__setattr__(self, "visible_below", 1.0)
        if self.late_decay_from == 0:
            object.__setattr__(self, "late_weight_decay", 0.0)
        if self.N == 1:
            object.__setattr__(self, "decoder_1step", "decoder")

    @functools.cached_property
    def shape(self) -> PackShape:
        """What must be equal for trials to train as one fused program."""
        return _pack_shape(*(getattr(self, name) for name in _SHAPE_FIELDS))

    @property
    def tokens_per_image(self) -> int:
        return (self.side // self.patch) ** 2

    @functools.cached_property
    def trial_id(self) -> str:
        """16 hex digits: a hash of SCIENCE_VERSION and of every field (but see LATER_FIELDS)."""
        identity = {"science_version": SCIENCE_VERSION, **self.to_dict()}
        for name in LATER_FIELDS:
            if identity[name] == LATER_FIELDS[name]:
                del identity[name]
        return hashlib.sha256(_canonical(identity).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        values = vars(self)  # with it lie the cached properties
        return {name: values[name] for name in FIELD_TYPES}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrialConfig:
        """Inverse of `to_dict`; a field that is missing has its default, an unknown key is a
        ConfigError."""
        for key in values:
            if key not in FIELD_TYPES:
                raise ConfigError(key, values[key], f"one of the fields {', '.join(FIELD_TYPES)}")
        return cls(**values)

    @classmethod
    def from_stored(cls, values: dict[str, Any]) -> TrialConfig:
        """The config of a result; a field that is younger than the result is what it was before."""
        return cls.from_dict({**LATER_FIELDS, **values})


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
    sandwich_ffn: int
    sandwich_skip: bool
    norm: str
    activation: str
    input_gate: bool
    visible_below: float
    precision: str
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


_TYPES: dict[str, type[Any]] = {"int": int, "float": float, "bool": bool, "str": str}
FIELD_TYPES = {field.name: _TYPES[str(field.type)] for field in dataclasses.fields(TrialConfig)}
"""Every field of TrialConfig -> its type, in order."""
_SHAPE_FIELDS = tuple(field.name for field in dataclasses.fields(PackShape))
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@functools.lru_cache(maxsize=1024)
def _pack_shape(*values: Any) -> PackShape:
    """One object for all configs with these values of the shape's fields."""
    return PackShape(**dict(zip(_SHAPE_FIELDS, values)))


def _typed(name: str, wanted: type, value: object) -> object:
    """Coerce lossless numbers (3 -> 3.0, numpy scalars) so that equal configs hash equally."""
    if wanted is bool or wanted is str:
        if not isinstance(value, wanted):
            raise ConfigError(name, value, f"a {wanted.__name__}")
        return value
    if not isinstance(value, Real | np.number) or isinstance(value, bool):
        raise ConfigError(name, value, f"of type {wanted.__name__}")
    try:
        number = wanted(value)
        same = bool(number == value)
    except (TypeError, ValueError, OverflowError):
        same = False
    if not same:  # also true of NaN, and of 1.5 where an int is wanted
        raise ConfigError(name, value, f"of type {wanted.__name__}")
    return number + 0.0 if wanted is float else number  # -0.0 becomes 0.0
