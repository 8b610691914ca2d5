"""What a config field may be: choices, ranges, and the error that says so.

Whatever passes here can be trained, evaluated and analysed; what cannot is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grokmodel.errors import UserError

OPERATIONS = ("add", "sub", "mul", "div")
DATASETS = (
    "glyphs",
    "emnist",
    "emnist-balanced",
    "emnist-letters",
    "emnist-byclass",
    "kuzushiji49",
)
ALPHABETS = ("plain", "distinct")
VARIANTS = ("baseline", "sandwich")
NORMS = ("pre", "ffn", "none")
ACTIVATIONS = ("gelu", "swiglu")
SPLITS = ("ordered", "unordered")
LOSSES = ("x0", "velocity")
T_DISTRIBUTIONS = ("logit-normal", "uniform")
PRECISIONS = ("float32", "bfloat16")
DECODERS_1STEP = ("mean", "decoder")

MAX_P = 256
"""Labels of the data files are bytes."""
MAX_SIZE = 65_536
"""Largest width, FFN, batch and N: beyond it a number is more likely a slip than a wish."""
MAX_STEPS = 2**31 - 1
"""Noise is keyed by the step as an int32."""
MAX_SEED = 2**31 - 2
"""Noise is keyed by the seed as an int32."""
MAX_NUMBERS = 2**31
"""Numbers in a tensor of one trial: 8 GiB of float32."""
SMALLEST, LARGEST, BELOW_ONE = 2.0**-126, (2 - 2.0**-23) * 2.0**127, 1 - 2.0**-24
"""Training is in float32: what is smaller is 0 there or imprecise, what is larger infinite, what is
nearer to 1 is 1."""
PRIME_OPERATIONS = ("div",)
"""Operations that are only defined when P is prime (every b != 0 has an inverse)."""

CHOICES = {"op": OPERATIONS, "data": DATASETS, "split": SPLITS, "variant": VARIANTS, "norm": NORMS}
CHOICES |= {"activation": ACTIVATIONS, "loss": LOSSES, "t_distribution": T_DISTRIBUTIONS}
CHOICES |= {"precision": PRECISIONS, "alphabet": ALPHABETS, "decoder_1step": DECODERS_1STEP}
"""Field -> its possible values."""
RANGES = {"P": (3, MAX_P), "side": (8, 64), "depth": (1, 8), "seed": (0, MAX_SEED)}
RANGES |= {"width": (2, MAX_SIZE), "sandwich_ffn": (0, MAX_SIZE)}
RANGES |= dict.fromkeys(("N", "patch", "heads", "ffn", "batch", "t_levels"), (1, MAX_SIZE))
RANGES |= dict.fromkeys(("warmup", "late_decay_from", "cooldown"), (0, MAX_STEPS))
RANGES |= dict.fromkeys(("steps", "eval_every", "eval_pairs"), (1, MAX_STEPS))
RANGES |= dict.fromkeys(("sample_steps", "final_sample_steps"), (1, 1000))
"""Field -> its smallest and largest value."""
REAL_RANGES = dict.fromkeys(("train_fraction", "t_clip"), (SMALLEST, BELOW_ONE, "inside (0, 1)"))
REAL_RANGES |= dict.fromkeys(("beta1", "beta2", "ema"), (0.0, BELOW_ONE, "in [0, 1)"))
REAL_RANGES |= dict.fromkeys(
    ("lr", "init_scale", "t_std"), (SMALLEST, LARGEST, "above 0 and finite")
)
REAL_RANGES |= dict.fromkeys(
    ("weight_decay", "late_weight_decay"), (0.0, LARGEST, "0 or more and finite")
)
REAL_RANGES |= {"visible_below": (SMALLEST, 1.0, "in (0, 1]")}
REAL_RANGES |= {"t_mean": (-LARGEST, LARGEST, "finite")}
"""Field -> its smallest and largest value, and that in words."""
MOST_SHOWN = 200
"""Characters of a value in a message."""


class ConfigError(UserError, ValueError):
    """A config field has a value that it cannot have. Names field, value and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} = {shown(value)} is not allowed: it must be {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object, str]]:
        return type(self), (self.field, self.value, self.allowed)


def shown(value: object) -> str:
    """A value as a message shows it: one line, not too long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no int of more than 4,300 digits
        text = f"an int of {int.bit_length(value)} bits" if isinstance(value, int) else "?"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def is_prime(n: int) -> bool:
    return n >= 2 and all(n % k for k in range(2, int(n**0.5) + 1))


def check_values(c: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first field of a config, all of the right types, that is out of
    range."""
    for field, choices in CHOICES.items():
        if c[field] not in choices:
            raise ConfigError(field, c[field], f"one of {', '.join(choices)}")
    for field, (low, high) in RANGES.items():
        if not low <= c[field] <= high:
            raise ConfigError(field, c[field], f"from {low} to {high}")
    for field, (least, most, words) in REAL_RANGES.items():
        if not least <= c[field] <= most:
            raise ConfigError(field, c[field], f"{words}, as float32 too")
    for field, of in (("patch", "side"), ("t_levels", "batch"), ("heads", "width")):
        if c[of] % c[field]:
            raise ConfigError(field, c[field], f"a divisor of {of} = {c[of]}")
    if c["steps"] % c["eval_every"]:
        raise ConfigError("steps", c["steps"], f"a multiple of eval_every = {c['eval_every']}")
    if c["late_decay_from"] and c["lr"] * c["weight_decay"] >= 1:
        bound = f"below 1 / lr = {1 / c['lr']:g} before a late decay, or no weights are left for it"
        raise ConfigError("weight_decay", c["weight_decay"], bound)
    if c["cooldown"] > c["steps"]:
        raise ConfigError("cooldown", c["cooldown"], f"at most steps = {c['steps']}; 0 for none")
    if c["width"] % 2:
        raise ConfigError("width", c["width"], "even (time features come in sine/cosine pairs)")
    if c["op"] in PRIME_OPERATIONS and not is_prime(c["P"]):
        raise ConfigError("P", c["P"], f"a prime for op = {c['op']!r}")
    _check_sizes(c)


def _check_sizes(c: Mapping[str, Any]) -> None:
    """The largest tensors: an image bank, the weights, the activations of a batch."""
    images = c["P"] * c["N"] * c["side"] ** 2
    if images > MAX_NUMBERS:
        raise ConfigError("N", c["N"], f"such that P * N * side^2 = {images} is {_AT_MOST}")
    field = max(("width", "ffn", "sandwich_ffn"), key=lambda name: c[name])
    widest = c[field]
    blocks = c["depth"] * c["width"] * (10 * c["width"] + 2 * c["ffn"])
    weights = blocks + c["width"] * 2 * c["sandwich_ffn"]
    if weights > MAX_NUMBERS:
        raise ConfigError(field, widest, f"such that the model's {weights} weights are {_AT_MOST}")
    activations = c["batch"] * 3 * (c["side"] // c["patch"]) ** 2 * widest
    if activations > MAX_NUMBERS:
        words = f"such that batch * tokens * width = {activations} is {_AT_MOST}"
        raise ConfigError("batch", c["batch"], words)


_AT_MOST = f"at most {MAX_NUMBERS}"
