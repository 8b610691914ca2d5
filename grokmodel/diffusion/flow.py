"""Rectified flow: the path from image to noise, the loss on it, and the way back.

Time is stated once, here: t = 0 is data, t = 1 is noise, x_t = (1 - t) x_0 + t eps. The network
predicts x_0; its velocity is v = (x_t - x0_hat) / t (arXiv 2511.13720, "JiT", section 3).

Shapes: M members, B images, T noise levels (T divides B), X pixels of an image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x_t (M, B, X), t (M, 1)) -> x0_hat (M, B, X)."""


def interpolate(x0_MBX: Tensor, noise_MBX: Tensor, t_MT: Tensor) -> Tensor:
    """x_t on the straight path; t in [0, 1], one level for every B / T rows."""
    t_MB1 = _for_rows(t_MT, x0_MBX.shape[1])[..., None]
    return torch.lerp(x0_MBX, noise_MBX, t_MB1)


def _for_rows(t_MT: Tensor, rows: int) -> Tensor:
    return t_MT.repeat_interleave(rows // t_MT.shape[1], dim=1)


def training_times(u_MT: Tensor, mean_M: Tensor, std_M: Tensor, uniform_M: Tensor) -> Tensor:
    """Noise levels t in (0, 1), shape (M, T), uniform or logit-normal per member.

    Args:
        u_MT: uniform numbers in (0, 1).
        mean_M, std_M: mean and spread of logit(t) where `uniform_M` is False.
        uniform_M: bool, members whose t is uniform.
    """
    normal_MT = torch.special.ndtri(u_MT)
    logit_normal_MT = torch.sigmoid(mean_M[:, None] + std_M[:, None] * normal_MT)
    return torch.where(uniform_M[:, None], u_MT, logit_normal_MT)


def loss_per_member(
    x0_hat_MBX: Tensor, x0_MBX: Tensor, t_MT: Tensor, t_clip_M: Tensor | None
) -> Tensor:
    """Mean squared error per member, shape (M,).

    `t_clip_M` None: of the image. Otherwise of the velocity, |x0_hat - x0|^2 / max(t, t_clip)^2.
    """
    error_MB = F.mse_loss(x0_hat_MBX, x0_MBX, reduction="none").mean(-1)
    if t_clip_M is not None:
        error_MB = (
            error_MB / _for_rows(torch.maximum(t_MT, t_clip_M[:, None]), error_MB.shape[1]).square()
        )
    return error_MB.mean(-1)


def sample(denoise: Denoiser, noise_MBX: Tensor, steps: int, t_start: float = 1.0) -> Tensor:
    """Integrate the ODE from `t_start` to 0 by Euler's method in `steps` equal steps.

    The last step lands on the network's x0_hat exactly, so steps = 1 is a single prediction.
    """
    x_MBX = noise_MBX
    for k in range(steps, 0, -1):
        t_M1 = x_MBX.new_full((len(x_MBX), 1), t_start * k / steps)
        x_MBX = euler_step(x_MBX, denoise(x_MBX, t_M1), k)
    return x_MBX


def euler_step(x_MBX: Tensor, x0_hat_MBX: Tensor, k: int) -> Tensor:
    """From the k-th to the (k - 1)-th of equal steps above t = 0, along the predicted velocity."""
    return torch.lerp(x_MBX, x0_hat_MBX, 1.0 / k)
