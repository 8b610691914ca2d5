"""Images drawn by the averaged weights of a pack, from nothing or from a part of an image.

Shapes: M members, Q samples, X pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from grokmodel.core import noise
from grokmodel.diffusion import flow
from grokmodel.rules.config import FLOW, PIXELS
from grokmodel.rules.model import Cache, denoise, next_logit
from grokmodel.rules.pack import SAMPLE, Pack


def sample(pack: Pack) -> np.ndarray:
    """Images (M, Q, X) uint8, as many as an evaluation has."""
    nothing_MQX = pack.val_MQX.new_zeros((len(pack.members), pack.shape.eval_samples, PIXELS))
    return completed(pack, nothing_MQX, 1.0)


@torch.no_grad()
def completed(pack: Pack, x_MQX: Tensor, hidden: float) -> np.ndarray:
    """Images (M, Q, X) uint8 drawn from what is left of others at the step of each member.

    Args:
        x_MQX: images as signs.
        hidden: share of them that is hidden: a flow starts at the noise level t = `hidden`, an
            autoregressive model is given the first pixels and draws this share.
    """
    p, shape = pack.params(pack.state.average), pack.shape
    M, Q, _ = x_MQX.shape
    if shape.model == FLOW:
        noise_MQX = noise.normal(pack.seed_M, SAMPLE, pack.state.step, Q, PIXELS)
        start_MQX = flow.interpolate(x_MQX, noise_MQX, x_MQX.new_full((M, 1), hidden))
        steps = max(1, round(hidden * shape.sample_steps))
        drawn = flow.sample(lambda x, t: denoise(p, shape, x, t), start_MQX, steps, hidden)
        return (drawn > 0).to(torch.uint8).cpu().numpy()
    given = round((1 - hidden) * PIXELS)
    u_MXQ = noise.uniform(pack.seed_M, SAMPLE, pack.state.step, Q * PIXELS).view(M, PIXELS, Q)
    cache, sign_MQ, bits = Cache(), torch.zeros_like(u_MXQ[:, 0]), []
    for place in range(PIXELS):
        logit_MQ = next_logit(p, shape, sign_MQ, place, cache)
        drawn_MQ = u_MXQ[:, place] < torch.sigmoid(logit_MQ)
        bits.append(x_MQX[..., place] > 0 if place < given else drawn_MQ)
        sign_MQ = 2.0 * bits[-1].to(sign_MQ.dtype) - 1.0
    return torch.stack(bits, dim=2).to(torch.uint8).cpu().numpy()
