"""The config of a trial that learns streaming parity: data, network and optimizer.

What any trial has (budget, seed) is declared in `grokmodel.core.config`. Torch-free.

Known of the paper, from its appendix C.1 and its code (github.com/loekvanrossem/rnn_structure, as
of commit 2537c5d): 100 ReLU units, both biases of torch's RNN, h_0 = 1, Xavier-normal weights of
gain 0.1, biases 0, one-hot symbols and targets, mean squared error, SGD at 0.02 without momentum or
regularization, batches of at most 128, 1,000 epochs, validation on 100 sequences of length 50. In
the code, not in the text: every batch is of one length, lengths ascend within an epoch, and few
short sequences are a batch like many long ones: 21 steps per epoch. Our choices: a fraction of the
data is drawn from all sequences, not from each length; an end when a trial has settled.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from grokmodel.core.config import Config, declare_family, redeclare, shape_of
from grokmodel.core.fields import (
    NOT_NEGATIVE,
    UP_TO_ONE,
    Range,
    declare,
    fields_of,
)
from grokmodel.core.outcome import CurveNames
from grokmodel.errors import ConfigError

BATCHES = ("one length", "mixed")
SIZE = Range.whole(1, 4096)
MAX_LENGTH = 14
"""There are 2^(MAX_LENGTH + 1) sequences up to that length, and each is evaluated."""


@dataclass(frozen=True)
class ParityShape:
    """The fields of ParityConfig that fix tensor shapes and the program; all else is per member."""

    hidden: int
    max_length: int
    val_length: int
    val_sequences: int
    batch: int
    optimizer: str
    eval_every: int


@dataclass(frozen=True, kw_only=True)
class ParityConfig(Config):
    """Everything that can change the outcome of one trial of the streaming-parity network."""

    curve_names = CurveNames(
        share_of="sequences",
        # every longer sequence is new, so validation and strict accuracy are one
        accuracies={"train_acc": "training sequences", "val_acc_strict": "longer sequences"},
        stages="training sequences not learned, only these learned, longer ones learned",
    )

    family: str = declare_family("parity")
    hidden: int = declare(100, "hidden units", bounds=SIZE)
    gain: float = declare(
        0.1,
        "weights start as N(0, gain^2 2 / (fan_in + fan_out)); small: states merge, large: they "
        "do not",
        bounds=NOT_NEGATIVE,
    )
    train_fraction: float = declare(
        1.0,
        "share of all sequences of length 1 to `max_length` that trains",
        unit="share",
        bounds=UP_TO_ONE,
    )
    max_length: int = declare(
        10,
        "length of the longest training sequences",
        unit="symbols",
        bounds=Range.whole(1, MAX_LENGTH),
    )
    val_length: int = declare(
        50,
        "length of the validation sequences; above `max_length`",
        unit="symbols",
        bounds=Range.whole(2, 10_000),
    )
    val_sequences: int = declare(
        100, "random validation sequences", unit="sequences", bounds=Range.whole(1, 65_536)
    )
    batch: int = declare(128, "training sequences per step, at most", unit="sequences", bounds=SIZE)
    batches: str = declare(
        "one length",
        "`one length`: all sequences of a batch are equally long, lengths ascend within an epoch, "
        "as in the paper's code, so that short sequences count for more; `mixed`: any sequences",
        choices=BATCHES,
    )

    optimizer: str = redeclare("optimizer", "sgd", "`sgd`, as in the paper, or another")
    weight_decay: float = redeclare("weight_decay", 0.0, "decoupled weight decay")
    ema: float = redeclare("ema", 0.0)
    lr: float = redeclare("lr", 0.02)
    warmup: int = redeclare("warmup", 0)
    steps: int = redeclare(
        "steps",
        21_000,
        "optimizer steps, at most: a trial that has settled stops earlier unless it has a "
        "cool-down. An epoch of all sequences up to length 10 is 21 steps of one length, or 16 "
        "mixed ones",
    )
    eval_every: int = redeclare("eval_every", 210)

    def check(self) -> None:
        super().check()
        if self.val_length <= self.max_length:
            allowed = f"above max_length = {self.max_length}, or training sequences are among them"
            raise ConfigError("val_length", self.val_length, allowed)

    @functools.cached_property
    def shape(self) -> ParityShape:
        """What must be equal for trials to train as one fused program."""
        return shape_of(self, ParityShape)

    @property
    def activations(self) -> int:
        return int(2 ** (self.max_length + 1) * self.hidden)

    @property
    def cost(self) -> float:
        """Multiplications of one forward pass."""
        return float(self.batch * self.max_length * self.hidden**2)


FIELDS = fields_of(ParityConfig)
"""Name -> declaration of every field of ParityConfig, its own first."""
