"""What a trial draws for the same few pairs, again and again while it trains.

Pairs, operand images and starting noise are the same at every step, so that a row of samples over
the steps shows one drawing that turns right, or does not.

Shapes: M members, Q pairs, S side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.core import noise
from grokmodel.data.pairs import Split
from grokmodel.image.evaluate import Decoders, reader, sample_images
from grokmodel.image.model import unpatchify
from grokmodel.image.pack import Banks, Pack, bank_key, stack_padded, with_results

TRAIN, STRICT, VALIDATION = "train", "strict", "validation"
HELD_OUT, TRAINED = 8, 4
"""Pairs of each kind, at most. Held-out ones are strict as long as there are any."""


@dataclass(frozen=True)
class Sample:
    """One image drawn by one trial, with what it was asked for. Images are bytes, S * S gray values
    from 0 (paper) to 255 (ink)."""

    sample: int
    pairs: str
    a: int
    b: int
    c: int
    sampled: int | None
    """The class that it is read as; None if it is no image."""
    image_a: bytes
    image_b: bytes
    image_c: bytes
    image: bytes


def shown_pairs(split: Split) -> tuple[np.ndarray, list[str]]:
    """Pairs (Q, 2) whose samples are kept, and of which kind each is."""
    strict, mirrored = split.val[split.strict], split.val[~split.strict]
    held_out = np.concatenate([strict, mirrored])[:HELD_OUT]
    n_strict = min(len(strict), HELD_OUT)
    kinds = [STRICT] * n_strict + [VALIDATION] * (len(held_out) - n_strict)
    train = split.train[:TRAINED]
    return np.concatenate([held_out, train]), kinds + [TRAIN] * len(train)


@torch.no_grad()
def draw_samples(pack: Pack, decoders: Decoders, banks: Banks) -> list[list[Sample]]:
    """Samples of every member from its averaged weights, in `sample_steps` Euler steps."""
    chosen = [shown_pairs(split) for split in pack.splits]
    triplets = [with_results(m.config, p) for m, (p, _) in zip(pack.members, chosen)]
    triplet_MQ3 = stack_padded(triplets).to(pack.device)
    start_M = torch.zeros_like(pack.state.step)  # draws as of step 0, whatever the step is
    steps = pack.shape.sample_steps
    drawn = sample_images(pack, triplet_MQ3[..., :2], noise.EVAL_VAL, steps, step_M=start_M)
    # the operands are those of sample_images: images are a function of seed, stream and step
    shown = [
        pack.draw_images(part, noise.EVAL_IMAGE, start_M)
        for part in (triplet_MQ3[..., :2], triplet_MQ3[..., 2:])
    ]
    known = unpatchify(pack.bank.images[torch.cat(shown, dim=-1)], pack.shape.patch)
    out = []
    for i, (member, (_, kinds)) in enumerate(zip(pack.members, chosen)):
        n, bank = len(kinds), banks[bank_key(member.config)]
        ink = bank.ink(drawn[i, :n])
        classes = reader(member.config, decoders, banks, steps).classify(ink)
        is_image = ink.isfinite().flatten(1).all(1)
        read = torch.where(is_image, classes, -1).tolist()
        shown_a, shown_b, target = map(_gray, bank.ink(known[i, :n]).unbind(1))
        images = zip(kinds, triplets[i].tolist(), read, shown_a, shown_b, target, _gray(ink))
        out.append(
            [
                Sample(q, kind, a, b, c, None if found < 0 else found, *four)
                for q, (kind, (a, b, c), found, *four) in enumerate(images)
            ]
        )
    return out


def _gray(ink_QSS: Tensor) -> list[bytes]:
    values = (255 * ink_QSS.clamp(0, 1).nan_to_num()).round().to(torch.uint8).cpu().numpy()
    return [image.tobytes() for image in values]
