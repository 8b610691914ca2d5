"""The images of a pack on its device: every distinct bank once, whatever the number of members.

A member has no images of its own, only the row at which its bank begins and the number of images a
class; a batch is drawn as rows.

Shapes: M members, B triplets, K distinct images of a member, C tokens per image, X pixels per
token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.image.model import patchify


@dataclass(frozen=True)
class DeviceBank:
    """Images of several banks, and where each member finds its own."""

    images: Tensor
    """(n, C, X) standardized tokens of all banks, one after another, class after class."""
    offset_M: Tensor
    """Row of a member's first image."""
    per_class_M: Tensor
    """Images a class; 0 for a member that has none, which is shown row `offset_M`."""
    is_shared: bool
    """All members have one bank."""

    @classmethod
    def load(cls, banks: Sequence[np.ndarray], patch: int, device: torch.device) -> DeviceBank:
        """Put the banks of all members, (P, N, S, S) each, on a device. A bank that is the same
        object for several members is put there once."""
        offsets: dict[int, int] = {}
        parts: list[Tensor] = []
        total = 0
        for bank in banks:
            if id(bank) not in offsets:
                offsets[id(bank)] = total
                parts.append(patchify(torch.from_numpy(bank).flatten(0, 1), patch))
                total += len(parts[-1])
        return cls(
            images=torch.cat(parts).to(device),
            # behind the last image there is none to show
            offset_M=torch.tensor([min(offsets[id(b)], total - 1) for b in banks], device=device),
            per_class_M=torch.tensor([b.shape[1] for b in banks], device=device),
            is_shared=len(offsets) == 1,
        )

    def rows(self, classes_MBk: Tensor, u_MBk: Tensor | None) -> Tensor:
        """An image of each class, as rows of `images`.

        Args:
            u_MBk: uniform in (0, 1), says which; None where every class has one image.
        """
        per_class = self.per_class_M[:, None, None]
        base_MBk = self.offset_M[:, None, None] + classes_MBk * per_class
        return base_MBk if u_MBk is None else base_MBk + (u_MBk * per_class).long()

    def of_members(self, counts: Sequence[int]) -> Tensor:
        """All images of each member, (M, K, C, X), padded to the largest count: a view without
        memory of its own if all members share a bank."""
        if self.is_shared:
            return self.images.expand(len(counts), *self.images.shape)
        row_K = torch.arange(max(counts), device=self.images.device)
        row_MK = (row_K + self.offset_M[:, None]).clamp(max=len(self.images) - 1)
        return self.images[row_MK]
