"""The config of a trial that learns to draw rule-valid images: rule, data and model.

What any trial has (optimizer, budget, seed) is declared in `grokmodel.core.config`. Torch-free.

Known of the paper, from its abstract (arXiv 2605.10019) alone: 6 x 6 binary images, groups of even
parity, diffusion transformers and GPTs, both clocks over dataset size, group size and capacity. All
sizes here are our choices, made to show both clocks on a CPU within minutes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from grokmodel.core.config import Config, check_divides, declare_family, redeclare, shape_of
from grokmodel.core.fields import FINITE, POSITIVE, Range, declare, fields_of
from grokmodel.core.outcome import CurveNames
from grokmodel.errors import ConfigError

SIDE = 6
PIXELS = SIDE**2
GROUP_SIZES = tuple(k for k in range(2, PIXELS + 1) if PIXELS % k == 0)
FLOW, AUTOREGRESSIVE = MODELS = ("flow", "autoregressive")
SIZE = Range.whole(1, 4096)
MAX_IMAGES = 65_536
"""A quarter of all valid images at group size 2, where there are fewest."""


@dataclass(frozen=True)
class RulesShape:
    """The fields of RulesConfig that fix tensor shapes and the program; all else is per member."""

    model: str
    pixels_per_token: int
    width: int
    depth: int
    heads: int
    ffn: int
    batch: int
    sample_steps: int
    eval_samples: int
    optimizer: str
    eval_every: int


@dataclass(frozen=True, kw_only=True)
class RulesConfig(Config):
    """Everything that can change the outcome of one trial on rule-valid images."""

    curve_names = CurveNames(
        share_of="samples",
        accuracies={
            "train_acc": "valid samples",
            "val_acc": "valid groups of new samples",
            "val_acc_strict": "valid of new samples",
            "mem_share": "copies",
        },
        stages="samples not valid, valid, valid where new",
    )

    family: str = declare_family("rules")
    group_size: int = declare(
        3,
        "pixels per group, in reading order: the complexity of the rule that every group has even "
        "parity",
        unit="pixels",
        bounds=Range.whole(2, PIXELS),
    )
    images: int = declare(
        256,
        "different training images, drawn from all valid ones",
        unit="images",
        bounds=Range.whole(1, MAX_IMAGES),
    )

    model: str = declare(
        "flow",
        "`flow`: Diffusion Transformer without conditions, rectified flow on pixels of -1 and 1; "
        "`autoregressive`: causal transformer that predicts pixel after pixel",
        choices=MODELS,
    )
    pixels_per_token: int = declare(
        6,
        "pixels per token of a flow, in reading order: 6 is a row, 1 is what the other model has",
        unit="pixels",
        bounds=Range.whole(1, PIXELS),
    )
    width: int = declare(32, "width of the residual stream; divisible by `heads`", bounds=SIZE)
    depth: int = declare(1, "transformer blocks", bounds=Range.whole(1, 64))
    heads: int = declare(4, "attention heads", bounds=SIZE)
    ffn: int = declare(128, "hidden units of the feed-forward network", bounds=SIZE)
    init_scale: float = declare(
        1.0, "weights start as N(0, init_scale^2 / fan_in)", bounds=POSITIVE
    )

    batch: int = declare(32, "training images per step, drawn with replacement", bounds=SIZE)
    t_mean: float = declare(0.3, "mean of logit(t), which is normal", bounds=FINITE)
    t_std: float = declare(0.8, "deviation of logit(t)", bounds=POSITIVE)
    weight_decay: float = redeclare("weight_decay", 0.0, "decoupled weight decay")
    lr: float = redeclare("lr", 3e-3)
    steps: int = redeclare(
        "steps",
        3000,
        "optimizer steps, at most: a trial whose samples are valid and mostly copies stops earlier "
        "unless it has a cool-down",
    )
    eval_every: int = redeclare("eval_every", 50)
    eval_samples: int = declare(
        128, "samples per evaluation", unit="samples", bounds=Range.whole(1, 65_536)
    )
    sample_steps: int = declare(
        20, "Euler steps of a sample of a flow", unit="steps", bounds=Range.whole(1, 1000)
    )

    def check(self) -> None:
        super().check()
        if self.group_size not in GROUP_SIZES:
            sizes = ", ".join(map(str, GROUP_SIZES))
            raise ConfigError("group_size", self.group_size, f"one of {sizes}")
        if PIXELS % self.pixels_per_token:
            raise ConfigError("pixels_per_token", self.pixels_per_token, f"a divisor of {PIXELS}")
        check_divides(vars(self), "heads", "width")

    def canonical(self) -> dict[str, Any]:
        out = super().canonical()
        if self.model == AUTOREGRESSIVE:
            out |= {"sample_steps": 20, "pixels_per_token": 1, "t_mean": 0.3, "t_std": 0.8}
        return out

    @functools.cached_property
    def shape(self) -> RulesShape:
        """What must be equal for trials to train as one fused program."""
        return shape_of(self, RulesShape)

    @property
    def activations(self) -> int:
        return self.eval_samples * PIXELS * max(self.width, self.ffn)

    @property
    def cost(self) -> float:
        """Weights touched per token, times tokens of a step."""
        block = self.width * (4 * self.width + 2 * self.ffn)
        return float(self.batch * PIXELS / self.pixels_per_token * self.depth * block)


FIELDS = fields_of(RulesConfig)
"""Name -> declaration of every field of RulesConfig, its own first."""
