"""Samples -> classes -> accuracies: what one evaluation of a pack measures.

Accuracy is always taken twice: over all validation pairs and over the strict ones, whose mirror
(b, a) is held out as well (see `data/pairs.py`).

Shapes: M members, Q pairs, C tokens per image, X pixels per token, S side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.core import noise
from grokmodel.core.outcome import Evaluation
from grokmodel.diffusion import flow
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import Decoder, MeanDecoder
from grokmodel.image.device_bank import DeviceBank
from grokmodel.image.model import denoise, unpatchify
from grokmodel.image.pack import BankKey, Banks, Pack, bank_key, stack_padded, with_results

Decoders = Mapping[BankKey, Decoder]
Reader = tuple[BankKey, Decoder, list[int]]
"""A bank, what reads samples of its classes, and the members whose samples it reads."""
COPY_RATIO = 1 / 3
"""A sample copies a training image when that is nearer than this times the second nearest."""


@dataclass(frozen=True)
class Accuracy:
    """Accuracies of one member."""

    train: float
    val: float
    strict: float
    """NaN where no held-out pair has a held-out mirror."""
    copies: float = math.nan
    """Share of samples for training pairs that copy one training image; NaN for N = 1."""
    heldout: float = math.nan
    """Like `val`, with operands shown by images that never train; NaN for N = 1."""
    strict_heldout: float = math.nan


@torch.no_grad()
def evaluate(pack: Pack, decoders: Decoders, banks: Banks, losses: Tensor) -> list[Evaluation]:
    """One Evaluation for every row of the pack, given its mean training losses (M,)."""
    accuracies = accuracy(pack, decoders, banks, pack.shape.sample_steps)
    norms = pack.state.weights.norm(dim=1).tolist()
    steps = pack.state.step.tolist()
    rows = zip(steps, losses.tolist(), accuracies, norms, strict=True)
    return [
        Evaluation(
            step, loss, a.train, a.val, a.strict, a.copies, norm, a.heldout, a.strict_heldout
        )
        for step, loss, a, norm in rows
    ]


@torch.no_grad()
def accuracy(pack: Pack, decoders: Decoders, banks: Banks, steps: int) -> list[Accuracy]:
    """Accuracies of every member by samples of `steps` Euler steps from the averaged weights."""
    train = [s.train[: m.config.eval_pairs] for m, s in zip(pack.members, pack.splits)]
    val = [s.val[: m.config.eval_pairs] for m, s in zip(pack.members, pack.splits)]
    train_x, train_c = _sample_pairs(pack, train, noise.EVAL_TRAIN, steps)
    val_x, val_c = _sample_pairs(pack, val, noise.EVAL_VAL, steps)
    readers = _readers(pack, decoders, banks, steps)
    right_train = _right(pack, train_x, train_c, readers, banks)
    right_val = _right(pack, val_x, val_c, readers, banks)
    right_heldout = None
    if pack.heldout is not None:
        heldout_x, _ = _sample_pairs(pack, val, noise.EVAL_VAL, steps, pack.heldout)
        right_heldout = _right(pack, heldout_x, val_c, readers, banks)
    out = []
    for i, member in enumerate(pack.members):
        n, k = len(train[i]), len(val[i])
        is_strict = pack.splits[i].strict[:k]
        found = right_val[i, :k]
        shares = [_mean(right_train[i, :n]), _mean(found), _mean(found[is_strict])]
        if member.config.N > 1:
            bank = unpatchify(pack.images_of(i), pack.shape.patch).flatten(1)
            shares.append(float(is_copy(train_x[i, :n].flatten(1), bank).float().mean()))
        has_heldout = banks[bank_key(member.config)].heldout.size > 0
        if member.config.N > 1 and right_heldout is not None and has_heldout:
            found = right_heldout[i, :k]
            shares += [_mean(found), _mean(found[is_strict])]
        out.append(Accuracy(*shares))
    return out


def _sample_pairs(
    pack: Pack,
    pairs: list[np.ndarray],
    stream: int,
    steps: int,
    device_bank: DeviceBank | None = None,
) -> tuple[Tensor, Tensor]:
    """Samples (M, Q, S, S) for each member's pairs, padded, and the right classes (M, Q)."""
    configs = [m.config for m in pack.members]
    triplets = [with_results(c, p) for c, p in zip(configs, pairs)]
    triplet_MQ3 = stack_padded(triplets).to(pack.device)
    samples = sample_images(pack, triplet_MQ3[..., :2], stream, steps, device_bank)
    return samples, triplet_MQ3[..., 2]


@torch.no_grad()
def sample_images(
    pack: Pack,
    pair_MQ2: Tensor,
    stream: int,
    steps: int,
    device_bank: DeviceBank | None = None,
    step_M: Tensor | None = None,
) -> Tensor:
    """Draw the result image of every pair (a, b): standardized pixels (M, Q, S, S).

    Args:
        device_bank: whose images show the operands; by default those that train.
        step_M: as of which training step images and noise are drawn; by default that of the pack.
    """
    shape = pack.shape
    step_M = pack.state.step if step_M is None else step_M
    params = pack.params(pack.state.average)
    image_MQ2 = pack.draw_images(pair_MQ2, noise.EVAL_IMAGE, step_M, device_bank)
    operands = pack.operands(params, image_MQ2, device_bank)
    C, X = shape.tokens_per_image, shape.token_dim
    Q = pair_MQ2.shape[1]
    start = noise.normal(pack.seed_M, stream, step_M, Q, C * X)

    def predict(x_MQX: Tensor, t_M1: Tensor) -> Tensor:
        tokens = x_MQX.unflatten(-1, (C, X))
        return denoise(params, shape, operands, tokens, t_M1).flatten(2).float()

    x_MQX = flow.sample(predict, start, steps)
    return unpatchify(x_MQX.unflatten(-1, (C, X)), shape.patch)


def _readers(pack: Pack, decoders: Decoders, banks: Banks, steps: int) -> list[Reader]:
    """What reads samples of so many steps: members that it serves alike are read together."""
    rows: dict[tuple[BankKey, str], list[int]] = {}
    for i, member in enumerate(pack.members):
        rows.setdefault((bank_key(member.config), member.config.decoder_1step), []).append(i)
    return [
        (key, reader(pack.members[of_reader[0]].config, decoders, banks, steps), of_reader)
        for (key, _), of_reader in rows.items()
    ]


def reader(config: TrialConfig, decoders: Decoders, banks: Banks, steps: int) -> Decoder:
    """What reads samples of a trial that were drawn in so many Euler steps."""
    key = bank_key(config)
    by_mean = steps == 1 and config.decoder_1step == "mean"
    return MeanDecoder(banks[key]) if by_mean else decoders[key]


def _right(
    pack: Pack, x_MQSS: Tensor, c_MQ: Tensor, readers: list[Reader], banks: Banks
) -> np.ndarray:
    """(M, Q) bool: the sample decodes to c. All that is asked is brought to the host at once.

    What is not finite is wrong: a decoder would call it its first class.
    """
    found_MQ = torch.empty_like(c_MQ)
    for key, decoder, rows in readers:
        ink = banks[key].ink(x_MQSS[rows].flatten(0, 1))
        found_MQ[rows] = decoder.classify(ink).view(len(rows), -1)
    is_image_MQ = x_MQSS.isfinite().flatten(2).all(-1)
    return (is_image_MQ & (found_MQ == c_MQ)).cpu().numpy()


def is_copy(x_QX: Tensor, bank_KX: Tensor) -> Tensor:
    """(Q,) bool: the image is much nearer to one image of the bank than to any other."""
    near = torch.cdist(x_QX, bank_KX).topk(2, dim=1, largest=False).values
    return near[:, 0] < COPY_RATIO * near[:, 1]


def _mean(right: np.ndarray) -> float:
    return float(right.mean()) if len(right) else math.nan
