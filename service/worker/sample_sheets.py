"""Pictures of what the models draw, beside what they should have drawn."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from grokmodel.core import noise
from grokmodel.image.evaluate import sample_images
from grokmodel.image.model import unpatchify
from grokmodel.image.pack import Banks, Pack, bank_key, stack_padded, with_results

SAMPLES = 10
"""Pairs in a picture."""
ROW_NAMES = ("a", "b", "one step", "drawn", "wanted")
"""One step from noise shows what is expected, more steps what is made of it."""


@torch.no_grad()
def sample_sheets(pack: Pack, banks: Banks) -> list[np.ndarray]:
    """Images (rows, columns, S, S) in [0, 1] for every member, on the CPU.

    A column is a held-out pair; rows are ROW_NAMES: a, b, what is drawn in one step and in as many
    as the final evaluation takes, a ∘ b.
    """
    pairs = [np.concatenate([s.val[s.strict], s.val[~s.strict]])[:SAMPLES] for s in pack.splits]
    triplets = [with_results(m.config, p) for m, p in zip(pack.members, pairs)]
    triplet_MQ3 = stack_padded(triplets).to(pack.device)
    one, samples = (
        sample_images(pack, triplet_MQ3[..., :2], noise.EVAL_VAL, steps)
        for steps in (1, pack.shape.final_sample_steps)
    )
    # the same draw as inside sample_images: images are a function of seed, stream and step
    shown = pack.draw_images(triplet_MQ3[..., :2], noise.EVAL_IMAGE, pack.state.step)
    truth = pack.draw_images(triplet_MQ3[..., 2:], noise.EVAL_IMAGE, pack.state.step)
    known = unpatchify(pack.bank.images[torch.cat([shown, truth], dim=-1)], pack.shape.patch)
    out = []
    for i, member in enumerate(pack.members):
        n = len(pairs[i])
        a, b, c = known[i, :n].unbind(1)
        ink = banks[bank_key(member.config)].ink(torch.stack([a, b, one[i, :n], samples[i, :n], c]))
        out.append(ink.clamp(0, 1).nan_to_num().cpu().numpy())
    return out


def sheet_png(images: np.ndarray, zoom: int = 4, margin: int = 72) -> bytes:
    """Images (rows, columns, S, S) in [0, 1] as one PNG, each row with its name."""
    padded = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=0.35)
    rows, columns, S, _ = padded.shape
    tiles = padded.transpose(0, 2, 1, 3).reshape(rows * S, columns * S)
    picture = Image.fromarray((255 * tiles).astype(np.uint8))
    size = (columns * S * zoom, rows * S * zoom)
    sheet = Image.new("L", (margin + size[0], size[1]), 255)
    sheet.paste(picture.resize(size, Image.Resampling.NEAREST), (margin, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for row, name in enumerate(ROW_NAMES):
        draw.text((margin - 8, (row + 0.5) * S * zoom), name, 0, font, anchor="rm")
    out = io.BytesIO()
    sheet.save(out, format="png")
    return out.getvalue()
