"""Many small images as one picture, each with a few words below it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ZOOMED, GAP, CAPTION = 72, 6, 16
"""Pixels of an image's side at least, between images, and of the words' height."""
BLACK, RED, WHITE = (0, 0, 0), (200, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """One image of a sheet."""

    image: np.ndarray
    """(S, S) in [0, 1]."""
    caption: str
    is_wrong: bool = False
    """Its caption is red."""


def contact_sheet(rows: Sequence[Sequence[Tile]]) -> bytes:
    """Rows of tiles, all of one size, as a PNG."""
    S = rows[0][0].image.shape[0]
    side = S * -(-ZOOMED // S)
    step = (side + GAP, side + CAPTION + GAP)
    size = (GAP + max(map(len, rows)) * step[0], GAP + len(rows) * step[1])
    sheet = Image.new("RGB", size, WHITE)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            left, top = GAP + x * step[0], GAP + y * step[1]
            image = Image.fromarray((255 * tile.image).round().astype(np.uint8))
            sheet.paste(image.resize((side, side), Image.Resampling.NEAREST), (left, top))
            color = RED if tile.is_wrong else BLACK
            draw.text((left + side / 2, top + side + 2), tile.caption, color, font, anchor="ma")
    out = io.BytesIO()
    sheet.save(out, format="png")
    return out.getvalue()
