"""A member: one trial in training, and what it is asked whatever its model.

Shapes: n parameters of a member.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from torch import Tensor

from grokmodel.core.config import Config
from grokmodel.core.optim import Matrices, OptimState
from grokmodel.core.outcome import CONFUSION, Evaluation, outcome, settled

C = TypeVar("C", bound=Config)


Params = dict[str, Tensor]
"""Parameter name -> (M, ...) view of the rows of a weight matrix (M, n)."""
Hook = Callable[[str, Tensor], Tensor]
"""Called with the name and the value (M, B, ...) of every hook point; the model goes on with
what it returns. It must not write to the value that it is given."""


class Layout(ABC):
    """Where each parameter of one member lies in its row of the weight matrix."""

    @cached_property
    @abstractmethod
    def entries(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one member's parameter, in storage order; those of matrices, (in, out),
        end in `.w`."""

    inside: ClassVar[tuple[str, ...]] = ("block",)
    """What names of matrices inside the model start with."""

    @property
    def matrices(self) -> Matrices:
        """First number, rows and columns of every matrix inside the model, but for those from time
        to adaLN vectors: what Muon updates and a clip of weights clips."""
        starts = itertools.accumulate(self.sizes, initial=0)
        return [
            (start, shape[0], shape[1])
            for start, (name, shape) in zip(starts, self.entries.items())
            if name.startswith(self.inside) and name.endswith(".w") and ".mod" not in name
        ]

    @cached_property
    def sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self.entries.values()]

    @property
    def n(self) -> int:
        """Parameters of one member."""
        return sum(self.sizes)

    def views(self, weights_Mn: Tensor) -> Params:
        """Named (M, ...) views of a weight matrix (M, n); no copy."""
        M = len(weights_Mn)
        parts = weights_Mn.split(self.sizes, dim=1)
        items = zip(self.entries.items(), parts, strict=True)
        return {name: part.view(M, *shape) for (name, shape), part in items}


@dataclass(eq=False)
class Member(ABC, Generic[C]):
    """One trial in training: everything that resuming it needs. A model subclasses it."""

    config_class: ClassVar[type[Any]]
    """The class of `config`."""
    layout_class: ClassVar[type[Any]]
    """The class of its layout, made from the shape of a config."""
    config: C
    state: OptimState
    """Rows of shape (1, n) on the CPU; stale while the member is live in a pack."""
    curve: list[Evaluation] = field(default_factory=list)
    wall_s: float = 0.0
    """Seconds of its packs' time that fell to this member."""

    @staticmethod
    @abstractmethod
    def initial_weights(config: Any) -> Tensor:
        """Weights (n,) before the first step, a function of the config."""

    @property
    @abstractmethod
    def divergence_ratio(self) -> float:
        """A trial has diverged when its loss is this many times what it was at the start."""

    @classmethod
    def layout(cls, config: Any) -> Layout:
        """Where parameters lie in the weights."""
        return cls.layout_class(config.shape)

    @classmethod
    def start(cls, config: C) -> Self:
        weights = cls.initial_weights(config)[None]
        return cls(config, OptimState.start(weights, config.optimizer))

    @property
    def step(self) -> int:
        return self.curve[-1].step if self.curve else 0

    @property
    def finished(self) -> bool:
        """Settled, out of budget, or no longer finite: nothing more will be learned. What a late
        decay or a cool-down brings is not seen by the accuracy that settles: both are waited for.
        """
        if not self.curve:
            return False
        spent = self.step >= self.config.steps
        last_phase = [e for e in self.curve if e.step >= self.config.late_decay_from]
        done = self.config.cooldown == 0 and self.settled(last_phase)
        return spent or done or not np.isfinite(self.curve[-1].loss)

    def settled(self, curve: Sequence[Evaluation]) -> bool:
        """Nothing more is to be learned, by the curve of its last phase."""
        return settled(curve)

    @property
    def phase(self) -> str:
        """Phase so far."""
        return outcome(self.curve, self.divergence_ratio).phase if self.curve else CONFUSION
