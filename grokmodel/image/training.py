"""Training of the image model: what `core.training` needs to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from grokmodel.core.execution import default_mode
from grokmodel.core.training import Round, rounds
from grokmodel.image.evaluate import Decoders, evaluate
from grokmodel.image.pack import Banks, Member, Pack


def train(
    members: Sequence[Member],
    banks: Banks,
    decoders: Decoders,
    device: torch.device,
    mode: str | None = None,
) -> Iterator[Round[Pack]]:
    """Train members of one PackShape until each has finished; yields after every evaluation.

    Args:
        mode: how steps are run, one of `execution.MODES`; by default one CUDA graph on a GPU.
    """
    return rounds(
        members,
        fuse=lambda live: Pack(live, banks, device, mode or default_mode(device)),
        evaluate=lambda pack, losses_M: evaluate(pack, decoders, banks, losses_M),
    )
