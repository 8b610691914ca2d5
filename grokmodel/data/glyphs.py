"""Built-in symbols: real letter shapes drawn from the fonts that matplotlib ships.

Images differ by font, affine map, stroke weight and elastic deformation (Simard et al. 2003), each
a pure function of (symbol, image number), so a bank of N images is the beginning of every larger
one. Symbols drawn in one plain font share strokes and margins, and a model needs many times the
steps to tell them apart (docs/recipe.md); varied ones are about as different as handwriting.
"""

from __future__ import annotations

import importlib.util
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from grokmodel.data.bank import HELD_OUT, SymbolBank, fingerprint, resize
from grokmodel.errors import ConfigError, DataError

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt23456789" + "01cijklmopsuvwxyz"
"""62 symbols; those that look like another one at 16 pixels come last."""
FONTS = (
    "DejaVuSans-Bold",
    "DejaVuSerif",
    "DejaVuSansMono",
    "STIXGeneral",
    "DejaVuSans",
    "DejaVuSerif-Italic",
    "DejaVuSans-Oblique",
    "STIXGeneralBol",
    "DejaVuSansMono-Bold",
    "STIXGeneralItalic",
    "DejaVuSerif-Bold",
    "DejaVuSansMono-Oblique",
)
CANVAS = 64
"""Side in pixels at which glyphs are drawn and deformed before area averaging."""
FONT_SIZE = 0.9
"""Em square in units of the canvas: the widest letter just fits."""
POOL = 256
"""Images per symbol for training a decoder."""
FIRST_HELD_OUT = 100_000
"""Number of the first held-out image: no training bank reaches it."""
KEPT = 256
"""Runs of images of one symbol and size that a process remembers: two sizes of the whole alphabet,
each with its pool and its held-out images."""


def glyph_bank(P: int, N: int, side: int) -> SymbolBank:
    """Bank of the first P symbols of ALPHABET, N images each (see `load.load_bank`)."""
    if len(ALPHABET) < P:
        raise ConfigError("P", P, f"{len(ALPHABET)} or less, the built-in glyphs")
    if N >= FIRST_HELD_OUT:
        raise ConfigError("N", N, f"less than {FIRST_HELD_OUT} for the built-in glyphs")
    # N = 1 is decoded by its templates: only a varied bank needs images to train and test a decoder
    pool, drawn = _images(P, 0, max(N, POOL) if N > 1 else 1, side)
    heldout, also_drawn = _images(P, FIRST_HELD_OUT, HELD_OUT if N > 1 else 0, side)
    return SymbolBank(
        images=pool[:, :N],
        heldout=heldout,
        pool=pool,
        labels=tuple(ALPHABET[:P]),
        fingerprint=fingerprint([], drawn, also_drawn, P, N, side),
    )


def _images(P: int, first: int, count: int, side: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Images `first` ... `first + count - 1` of P symbols, (P, count, side, side) float32, and a
    fingerprint per symbol of what the fonts gave for them."""
    images, drawn = zip(*(_images_of(symbol, first, count, side) for symbol in range(P)))
    return np.stack(images), drawn


@lru_cache(maxsize=KEPT)
def _images_of(symbol: int, first: int, count: int, side: int) -> tuple[np.ndarray, str]:
    """Those of one symbol, (count, side, side), kept at their size, not at that of the canvas; and
    the fingerprint of the letters that they are made from."""
    out = np.zeros((count, side, side), np.float32)
    letters = []
    for k in range(count):
        rng = np.random.default_rng([symbol, first + k])
        letters.append(_letter(symbol, rng))
        out[k] = resize(_deform(letters[-1] / np.float32(255.0), rng), side)
    return out, fingerprint(letters)


def _letter(symbol: int, rng: np.random.Generator) -> np.ndarray:
    """A letter in a font and a weight on the canvas, uint8."""
    from PIL import Image, ImageDraw, ImageFilter

    name = FONTS[int(rng.integers(len(FONTS)))]
    image = Image.new("L", (CANVAS, CANVAS))
    middle = (CANVAS / 2, CANVAS / 2)
    ImageDraw.Draw(image).text(middle, ALPHABET[symbol], 255, _font(name), anchor="mm")
    image = _centered(image)
    if rng.random() < 0.5:  # thinning letters with hairlines would tear them
        heavy = name in ("DejaVuSans-Bold", "DejaVuSansMono-Bold")
        image = image.filter(ImageFilter.MinFilter(3) if heavy else ImageFilter.MaxFilter(3))
    return np.asarray(image)


def _centered(image):  # type: ignore[no-untyped-def]
    """The image shifted so that the middle of its ink is the middle of the canvas."""
    from PIL import ImageChops

    left, top, right, bottom = image.getbbox()
    dx, dy = (CANVAS - left - right) // 2, (CANVAS - top - bottom) // 2
    return ImageChops.offset(image, dx, dy)


@cache
def _font(name: str):  # type: ignore[no-untyped-def]
    from PIL import ImageFont

    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise DataError("matplotlib is not installed; the built-in glyphs are drawn from its fonts")
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
    if not path.exists():
        raise DataError(f"{path}: not found; need the fonts of an intact matplotlib")
    return ImageFont.truetype(str(path), int(CANVAS * FONT_SIZE))


def _deform(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random affine map and a smooth random displacement, by bilinear look-up."""
    angle, shear = rng.normal(0, 0.12), rng.normal(0, 0.12)
    zoom_x, zoom_y = rng.uniform(0.85, 1.15, 2)
    shift = rng.normal(0, 1.5, (2, 1, 1))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos / zoom_y, -sin], [sin + shear, cos / zoom_x]])
    grid = np.indices((CANVAS, CANVAS)) - (CANVAS - 1) / 2
    wobble = 1.5 * np.stack([_wobble(rng), _wobble(rng)])
    source = np.tensordot(matrix, grid, 1) + shift + wobble + (CANVAS - 1) / 2
    return _bilinear(image, source)


def _wobble(rng: np.random.Generator) -> np.ndarray:
    """A smooth random field on the canvas with unit variance: a few low cosine waves."""
    wave = np.cos(np.pi * np.outer(np.arange(CANVAS) + 0.5, np.arange(6)) / CANVAS)
    field = wave @ rng.normal(size=(6, 6)) @ wave.T
    return (field - field.mean()) / field.std()


def _bilinear(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """`image` at real coordinates `at` (2, S, S); 0 outside."""
    padded = np.pad(image, 1)
    at = np.clip(at + 1, 0, CANVAS + 0.999)
    y, x = at.astype(int)
    fy, fx = at[0] - y, at[1] - x
    top = padded[y, x] * (1 - fx) + padded[y, x + 1] * fx
    low = padded[y + 1, x] * (1 - fx) + padded[y + 1, x + 1] * fx
    return (top * (1 - fy) + low * fy).astype(np.float32)
