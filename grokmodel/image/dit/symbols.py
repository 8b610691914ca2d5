"""The images of a trial's symbols, and how they become what its model sees, and back.

Shapes: P symbols, N images per symbol, S side, B images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from grokmodel.data.bank import SymbolBank
from grokmodel.errors import ConfigError


class Symbols(nn.Module):
    """The images that train, and the mean and scale by which a model sees them.

    They are buffers: they go where the model goes, and lie in its file.

    Args:
        images: (P, N, S, S) in [0, 1], ink bright on black.
        mean: (S, S) mean image.
        std: () standard deviation of all pixels about the mean image.
        labels: what each symbol shows, such as `A`.
    """

    images: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, images: Tensor, mean: Tensor, std: Tensor, labels: Sequence[str]) -> None:
        super().__init__()
        self.register_buffer("images", images)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.labels = tuple(labels)

    @classmethod
    def of_bank(cls, bank: SymbolBank) -> Symbols:
        images, mean = (torch.from_numpy(array.copy()) for array in (bank.images, bank.mean))
        return cls(images, mean, torch.tensor(bank.std), bank.labels)

    def show(self, symbol: int, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n images of a symbol as a model sees them, (n, S, S), drawn at random if there are
        several.

        Raises:
            ConfigError: there is no such symbol.
        """
        P, N = self.images.shape[:2]
        if not 0 <= symbol < P:
            raise ConfigError("symbol", symbol, f"from 0 to {P - 1}")
        which_n = torch.randint(N, (n,), generator=generator) if N > 1 else torch.zeros(n).long()
        return self.standardized(self.images[symbol, which_n.to(self.images.device)])

    def standardized(self, images: Tensor) -> Tensor:
        """Images (..., S, S) in [0, 1] -> what the model sees."""
        return (images - self.mean) / self.std

    def pixels(self, standardized: Tensor) -> Tensor:
        """What the model sees or draws, (..., S, S) -> pixels in [0, 1]: what lies outside is cut
        off, what is not finite is 0."""
        ink = standardized * self.std + self.mean
        return ink.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp(0.0, 1.0)
