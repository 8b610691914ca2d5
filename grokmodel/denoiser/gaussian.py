"""The denoiser that would be right if images were a Gaussian of their mean and covariance.

It is linear in the noisy image, its flow from noise to image has a closed form (Wang and Vastola,
arXiv 2412.09726), and so it costs no network. Beside it the denoiser that is right if images are
just those of the bank.

Shapes: Q noisy images, I images of a bank, K principal components, X pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

NOTHING = 1e-6
"""Variance along a principal component, relative to the largest, that is rounding of float32."""


@dataclass(frozen=True)
class Gaussian:
    """Images by their mean and the principal components along which they vary at all."""

    mean_X: Tensor
    axes_KX: Tensor
    """Orthonormal, the one of the largest variance first."""
    variance_K: Tensor

    @classmethod
    def of(cls, images_IX: Tensor, weight_I: Tensor) -> Self:
        """The Gaussian of these images.

        Args:
            weight_I: of each image, in whatever unit.
        """
        share_I1 = (weight_I / weight_I.sum())[:, None]
        mean_X = (share_I1 * images_IX).sum(0)
        _, root_K, axes_KX = torch.linalg.svd(
            share_I1.sqrt() * (images_IX - mean_X), full_matrices=False
        )
        variance_K = root_K.square()
        is_there = variance_K > NOTHING * variance_K.max().clamp(min=NOTHING)
        return cls(mean_X, axes_KX[is_there], variance_K[is_there])

    def denoise(self, x_QX: Tensor, t: float) -> Tensor:
        """The expected image behind noisy ones at level t: (Q, X)."""
        signal_K = (1 - t) * self.variance_K
        gain_K = signal_K / ((1 - t) * signal_K + t**2)
        return self.mean_X + ((x_QX - (1 - t) * self.mean_X) @ self.axes_KX.T * gain_K) @ (
            self.axes_KX
        )

    def flow(self, noise_QX: Tensor, t: float) -> Tensor:
        """Where the ODE takes noise of level 1 by level t: (Q, X).

        Every principal component keeps its place within the spread that it has at each level.
        """
        spread_K = ((1 - t) ** 2 * self.variance_K + t**2).sqrt()
        along_QK = noise_QX @ self.axes_KX.T
        return (1 - t) * self.mean_X + t * noise_QX + (along_QK * (spread_K - t)) @ self.axes_KX


def denoise_by_images(x_QX: Tensor, t: float, images_IX: Tensor, weight_I: Tensor) -> Tensor:
    """The expected image behind noisy ones at level t, if there are no images but these: (Q, X)."""
    distance_QI = torch.cdist(x_QX, (1 - t) * images_IX).square()
    return torch.softmax(weight_I.log() - distance_QI / (2 * t**2), dim=1) @ images_IX


def explained(value_QX: Tensor, guess_QX: Tensor) -> float:
    """Share of the variance of `value` that `guess` explains: 1 all, below 0 it is worse than the
    mean; NaN if there is no variance."""
    error = (value_QX - guess_QX).square().sum().double()
    spread = (value_QX - value_QX.mean(0)).square().sum().double()
    return float(1 - error / spread) if spread > 0 else float("nan")
