"""Symbol banks: N training images and some held-out images for each of P classes.

Images are float32 in [0, 1], ink bright on black. `load.load_bank` gives the bank of a data set.

Shapes: P classes, N images per class, S side in pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

HELD_OUT = 64
"""Held-out images per class, at most."""


@dataclass(frozen=True)
class SymbolBank:
    """The images of one alphabet."""

    images: np.ndarray
    """(P, N, S, S) float32 in [0, 1]: the images that train."""
    heldout: np.ndarray
    """(P, K, S, S) float32 in [0, 1]: images of the same classes that never train; K may be 0."""
    pool: np.ndarray
    """(P, K', S, S): every image that is not held out, for training a decoder."""
    labels: tuple[str, ...]
    """What each symbol shows."""
    fingerprint: str = ""
    """16 hexadecimal digits: a hash of what the images are made from, before any arithmetic, so
    that it is the same on all machines. Banks of other images have another."""

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean image (S, S)."""
        return self.images.mean((0, 1))

    @cached_property
    def std(self) -> float:
        """Standard deviation of all pixels about the mean image."""
        return float((self.images - self.mean).std())

    @cached_property
    def standardized(self) -> np.ndarray:
        """The images centered per pixel and scaled to unit variance: what a model sees."""
        return (self.images - self.mean) / self.std

    @cached_property
    def standardized_heldout(self) -> np.ndarray:
        """The held-out images by the mean and scale of those that train."""
        return (self.heldout - self.mean) / self.std

    def ink(self, standardized: Tensor) -> Tensor:
        """Back from standardized pixels (..., S, S) to ink units: [0, 1], give or take."""
        mean = torch.from_numpy(self.mean).to(standardized.device)
        return standardized * self.std + mean


def fingerprint(arrays: Iterable[np.ndarray], *said: object) -> str:
    """16 hexadecimal digits that tell arrays, and whatever else is said, from any others."""
    digest = hashlib.sha256(repr(said).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def resize(images: np.ndarray, side: int) -> np.ndarray:
    """Square images (..., S, S) to (..., side, side): padded to grow, area-averaged to shrink."""
    S = images.shape[-1]
    if side >= S:
        before = (side - S) // 2
        margin = [(0, 0)] * (images.ndim - 2) + [(before, side - S - before)] * 2
        return np.pad(images, margin)
    edges = np.linspace(0, S, side + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(S)
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    weight = (overlap * side / S).astype(images.dtype)
    return weight @ images @ weight.T
