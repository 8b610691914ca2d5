"""The config of a trial that learns to draw images: data, model, flow and evaluation.

What any trial has (optimizer, budget, seed) is declared in `grokmodel.core.config`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

from grokmodel.core.config import Config, check_divides, shape_of
from grokmodel.core.fields import (
    FINITE,
    INSIDE_UNIT,
    POSITIVE,
    UP_TO_ONE,
    Range,
    declare,
    fields_of,
)
from grokmodel.data.names import (
    ALPHABETS,
    DATASETS,
    OPERATIONS,
    PRIME_OPERATIONS,
    SPLITS,
    is_prime,
)
from grokmodel.errors import ConfigError
from grokmodel.image.shape import PackShape

VARIANTS = ("baseline", "sandwich")
NORMS = ("pre", "ffn", "none")
POSITIONS = ("learned", "rotary")
TIME_EMBEDDINGS = ("linear", "mlp")
ACTIVATIONS = ("gelu", "swiglu")
LOSSES = ("x0", "velocity")
T_DISTRIBUTIONS = ("logit-normal", "uniform")
PRECISIONS = ("float32", "bfloat16")
DECODERS_1STEP = ("mean", "decoder")

MAX_P = 256
"""Labels of the data files are bytes."""
MAX_SIZE = 65_536
"""Largest width, FFN, batch and N: beyond it a number is more likely a slip than intended."""
MAX_NUMBERS = 2**31
"""Numbers in a tensor of one trial: 8 GiB of float32."""
SIZE = Range.whole(1, MAX_SIZE)
HASH = re.compile("(?:[0-9a-f]{16})?")


@dataclass(frozen=True, kw_only=True)
class TrialConfig(Config):
    """Everything that can change the outcome of one trial of the image model."""

    worth_compiling = 6e11  # about a minute of training; compiling takes 40 s and saves a third

    op: str = declare("add", "operation on Z_P that gives c from a and b", choices=OPERATIONS)
    data: str = declare("glyphs", "data set of the symbol images", choices=DATASETS)
    images_hash: str = declare(
        "",
        "hash of the images that the data set really gave; a sweep fills it in",
        is_axis=False,
    )
    alphabet: str = declare(
        "plain",
        "which symbols come first: `plain`, the order of the data; `distinct`, an order of EMNIST "
        "in which look-alikes come last",
        choices=ALPHABETS,
    )
    P: int = declare(
        23, "modulus: number of symbols; a prime for `div`", bounds=Range.whole(3, MAX_P)
    )
    N: int = declare(1, "images per symbol", unit="images", bounds=SIZE)
    train_fraction: float = declare(
        0.8, "share R of all pairs (a, b) that trains; the rest validates", unit="share",
        bounds=INSIDE_UNIT,
    )  # fmt: skip
    split: str = declare(
        "ordered",
        "`ordered`: (a, b) and (b, a) fall independently; `unordered`: always on the same side",
        choices=SPLITS,
    )

    side: int = declare(16, "image side", unit="pixels", bounds=Range.whole(8, 64))
    patch: int = declare(
        0, "token side, divides `side`; 0 stands for `side`: one token per image", unit="pixels",
        bounds=Range.whole(0, MAX_SIZE),
    )  # fmt: skip
    width: int = declare(
        128, "width of the residual stream; even, divisible by `heads`",
        bounds=Range.whole(2, MAX_SIZE),
    )  # fmt: skip
    depth: int = declare(1, "transformer blocks", bounds=Range.whole(1, 8))
    heads: int = declare(8, "attention heads", bounds=SIZE)
    ffn: int = declare(128, "hidden units of the feed-forward network", bounds=SIZE)
    variant: str = declare(
        "baseline",
        "`baseline`: attention, FFN; `sandwich`: one more FFN between embedding and attention",
        choices=VARIANTS,
    )
    sandwich_ffn: int = declare(
        0,
        "hidden units of the sandwich's own FFN, the one before attention; 0 stands for `ffn`, "
        "and for the baseline, which has none",
        bounds=Range.whole(0, MAX_SIZE),
    )
    sandwich_skip: bool = declare(
        True,
        "residual connection around the sandwich's own FFN; without it, attention sees of an image "
        "only what that FFN makes of it; true for the baseline",
    )
    norm: str = declare(
        "pre",
        "where LayerNorm stands: `pre` (attention, FFN and output), `ffn` (FFN only) or `none`",
        choices=NORMS,
    )
    qk_norm: bool = declare(
        False, "LayerNorm, without weights of its own, on the queries and keys of every head"
    )
    position: str = declare(
        "learned",
        "position of a token: a `learned` vector each, or `rotary` embedding of queries and keys; "
        "`learned` where an image is one token",
        choices=POSITIONS,
    )
    time_embedding: str = declare(
        "linear",
        "sinusoids of t, then one `linear` map, or an `mlp` of two as in DiT",
        choices=TIME_EMBEDDINGS,
    )
    activation: str = declare("gelu", "FFN non-linearity", choices=ACTIVATIONS)
    init_scale: float = declare(
        1.0, "weights start as N(0, init_scale^2 / fan_in)", bounds=POSITIVE
    )
    adaln_zero: bool = declare(
        False, "adaLN-Zero as in DiT: the gate of every residual branch starts at 0, else at 1"
    )
    zero_output: bool = declare(False, "the output layer starts at 0, as in DiT")
    input_gate: bool = declare(
        False, "scale the noisy input by (1 - t), so that pure noise enters as zero"
    )
    visible_below: float = declare(
        1.0,
        "noise level below which the input gate opens: the noisy input is scaled by "
        "max(0, 1 - t / visible_below), so that above it the operands are all that the model sees; "
        "1 without a gate",
        bounds=UP_TO_ONE,
    )
    precision: str = declare(
        "float32",
        "precision of matrix products: `float32` (on CUDA by TF32) or `bfloat16`; weights, moments "
        "and sums are always float32",
        choices=PRECISIONS,
    )

    loss: str = declare(
        "velocity",
        "`x0`: |x0_hat - x0|^2; `velocity`: the same over max(t, t_clip)^2",
        choices=LOSSES,
    )
    t_distribution: str = declare(
        "uniform",
        "distribution of the noise level t while training",
        choices=T_DISTRIBUTIONS,
    )
    t_mean: float = declare(0.0, "mean of logit(t) for `logit-normal`", bounds=FINITE)
    t_std: float = declare(1.0, "deviation of logit(t) for `logit-normal`", bounds=POSITIVE)
    t_levels: int = declare(
        64,
        "distinct noise levels in a batch, each shared by batch / t_levels rows; divides `batch`",
        bounds=SIZE,
    )
    t_clip: float = declare(
        0.05, "smallest t that divides in the `velocity` loss", bounds=INSIDE_UNIT
    )
    sample_steps: int = declare(
        10, "Euler steps per sample in the evaluations during training", unit="steps",
        bounds=Range.whole(1, 1000),
    )  # fmt: skip
    final_sample_steps: int = declare(
        50, "Euler steps per sample in the second, final evaluation", unit="steps",
        bounds=Range.whole(1, 1000),
    )  # fmt: skip
    decoder_1step: str = declare(
        "mean",
        "what reads samples of one step where N > 1: `mean`, the nearest class mean; `decoder`, "
        "the CNN that reads all others. One step from noise gives the expected image, a blend that "
        "the CNN never saw. At N = 1 both are the same and this is `decoder`",
        choices=DECODERS_1STEP,
    )
    batch: int = declare(512, "training triplets per step", unit="triplets", bounds=SIZE)
    eval_pairs: int = declare(
        512,
        "pairs per evaluation and side (training, validation), at most: a random sample",
        unit="pairs",
        bounds=Range.whole(1, 2**31 - 1),
    )

    def check(self) -> None:
        super().check()
        if not HASH.fullmatch(self.images_hash):
            raise ConfigError("images_hash", self.images_hash, "16 hexadecimal digits, or empty")
        if self.patch:
            check_divides(vars(self), "patch", "side")
        check_divides(vars(self), "t_levels", "batch")
        check_divides(vars(self), "heads", "width")
        if self.width % 2:
            raise ConfigError("width", self.width, "even (sines and cosines of time come in pairs)")
        if self.op in PRIME_OPERATIONS and not is_prime(self.P):
            raise ConfigError("P", self.P, f"a prime for op = {self.op!r}")
        _check_sizes(self)

    def canonical(self) -> dict[str, Any]:
        out = super().canonical()
        if self.patch == 0:
            out["patch"] = self.side
        if self.variant == "baseline" or self.sandwich_ffn == self.ffn:
            out["sandwich_ffn"] = 0
        if self.variant == "baseline":
            out["sandwich_skip"] = True
        if not self.input_gate:
            out["visible_below"] = 1.0
        if self.patch in (0, self.side):
            out["position"] = "learned"
        if self.t_distribution == "uniform":
            out |= {"t_mean": 0.0, "t_std": 1.0}
        if self.loss == "x0":
            out["t_clip"] = 0.05
        if self.N == 1:
            out["decoder_1step"] = "decoder"
        return out

    @functools.cached_property
    def shape(self) -> PackShape:
        """What must be equal for trials to train as one fused program."""
        return shape_of(self, PackShape)

    def strict_evaluated(self) -> int:
        from grokmodel.data.pairs import split_pairs  # numpy: not to print help

        return int(split_pairs(self).strict[: self.eval_pairs].sum())

    @property
    def kind(self) -> Hashable:
        return self.shape, self.P, self.op

    @property
    def activations(self) -> int:
        return self.P**2 * self.width

    @property
    def cost(self) -> float:
        """Weights touched per row, times rows."""
        hidden = self.depth * (4 * self.width + 2 * self.ffn) + 2 * self.patch**2
        if self.variant == "sandwich":
            hidden += 2 * (self.sandwich_ffn or self.ffn)
        return float(self.batch * 3 * self.tokens_per_image * self.width * hidden)

    @property
    def tokens_per_image(self) -> int:
        return (self.side // self.patch) ** 2

    def with_images(self, images_hash: str) -> Self:
        """The same trial on images of this hash; cheap, since many configs are bound at once."""
        if images_hash == self.images_hash:
            return self
        bound = object.__new__(type(self))
        vars(bound).update(vars(self), images_hash=images_hash)
        vars(bound).pop("trial_id", None)  # it would be that of the other
        return bound


FIELDS = fields_of(TrialConfig)
"""Name -> declaration of every field of TrialConfig, in order."""
AXES = {name: field for name, field in FIELDS.items() if field.is_axis}
"""Those that users may set: the axes of sweeps."""


def _check_sizes(c: TrialConfig) -> None:
    """The largest tensors: an image bank, the weights, the activations of a batch."""
    most = f"at most {MAX_NUMBERS}"
    images = c.P * c.N * c.side**2
    if images > MAX_NUMBERS:
        raise ConfigError("N", c.N, f"such that P * N * side^2 = {images} is {most}")
    widest = max(("width", "ffn", "sandwich_ffn"), key=lambda name: int(getattr(c, name)))
    size = int(getattr(c, widest))
    weights = c.depth * c.width * (10 * c.width + 2 * c.ffn) + c.width * 2 * c.sandwich_ffn
    if weights > MAX_NUMBERS:
        raise ConfigError(widest, size, f"such that the model's {weights} weights are {most}")
    activations = c.batch * 3 * (c.side // (c.patch or c.side)) ** 2 * size
    if activations > MAX_NUMBERS:
        allowed = f"such that batch * tokens * width = {activations} is {most}"
        raise ConfigError("batch", c.batch, allowed)
