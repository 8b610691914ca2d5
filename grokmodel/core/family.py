"""A family of trials: what whoever trains, records or plans has to know of a model.

A family has a config, a member, a pack and an evaluation. Planning, tracking, tables and fault
handling ask no more of it than what is here.

Shapes: M members.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from grokmodel.core.execution import AUTO, EAGER, default_mode
from grokmodel.core.member import Member
from grokmodel.core.outcome import Evaluation
from grokmodel.core.rows import Finished, Row, curve_rows, trial_row
from grokmodel.core.training import Pack, Round, rounds

Inputs = Any
"""What a family needs to train besides its members, such as images; None if that is nothing."""


class Family(ABC):
    """One family; a model subclasses it."""

    member: ClassVar[type[Member[Any]]]
    pack: ClassVar[type[Pack[Any]]]

    def fuse(
        self,
        members: Sequence[Any],
        inputs: Inputs,
        device: torch.device,
        mode: str = EAGER,
    ) -> Pack[Any]:
        """Members of one shape as one program.

        Args:
            mode: how steps are run, one of `execution.MODES`.
        """
        return self.pack(members, device, mode)

    @abstractmethod
    def evaluate(self, pack: Any, inputs: Inputs, losses_M: Tensor) -> list[Evaluation]:
        """One Evaluation per member of a pack, given its mean training losses."""

    @abstractmethod
    def examples(self, member: Any) -> int:
        """Different training examples that a member has been trained on."""

    @abstractmethod
    def finals(self, pack: Any, inputs: Inputs) -> list[Row]:
        """What is measured of each member of a pack at the end, by column of `trials`."""

    def samples(self, members: Sequence[Any], pack: Any, inputs: Inputs) -> dict[str, list[Row]]:
        """The `samples` rows of members of a pack at their step, by trial: none if it draws no
        images."""
        return {m.config.trial_id: [] for m in members}

    # --- the same for all ------------------------------------------------------------------------

    def train(
        self,
        members: Sequence[Any],
        inputs: Inputs,
        device: torch.device,
        mode: str = AUTO,
    ) -> Iterator[Round[Any]]:
        """Train members of one shape until each has finished; yields after every evaluation.

        Args:
            mode: one of `execution.MODES`, or AUTO for `default_mode`.
        """
        if mode == AUTO:
            mode = default_mode(device, [member.config for member in members])
        return rounds(
            members,
            fuse=lambda live: self.fuse(live, inputs, device, mode),
            evaluate=lambda pack, losses_M: self.evaluate(pack, inputs, losses_M),
        )

    def finish(
        self, members: Sequence[Any], inputs: Inputs, device: torch.device
    ) -> list[Finished]:
        """Measure and draw what is asked of finished members, all of one shape."""
        pack = self.fuse(members, inputs, device)
        finals = self.finals(pack, inputs)
        samples = self.samples(members, pack, inputs)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        return [
            Finished(
                member, trial_row(member, final, name), curve_rows(member),
                samples[member.config.trial_id],
            )
            for member, final in zip(members, finals, strict=True)
        ]  # fmt: skip
