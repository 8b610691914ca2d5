"""Omniglot as its authors publish it: a zip archive of PNG drawings. Every way that it can be wrong
is a DataError.

Twenty people drew each character of an alphabet, once (Lake, Salakhutdinov and Tenenbaum 2015).
Drawers 1, 2, ... give the first, second, ... image of every class; the last four never train, so
held-out images are those of unseen hands.

Shapes: C characters, D drawers, S side in pixels.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from grokmodel.data.bank import resize
from grokmodel.data.files import Labeled, Raw, not_found
from grokmodel.data.names import OMNIGLOT_SETS
from grokmodel.errors import DataError

ARCHIVES = ("images_background.zip", "images_background_small2.zip")
"""Official archives with the alphabets of OMNIGLOT_SETS; the first that is there is read."""
CHARACTERS = {"Japanese_(katakana)": 47, "Sanskrit": 42}
DRAWERS, TRAINING_DRAWERS = 20, 16
DRAWN, SIDE = 105, 28
"""Sides in pixels of a drawing and of the image that it becomes, as large as those of EMNIST."""
HINT = f"the official Omniglot archive {ARCHIVES[0]}: https://github.com/brendenlake/omniglot"


def omniglot(folder: Path, data: str) -> Raw:
    """Images of one of OMNIGLOT_SETS; a label is the number of a character, from 1."""
    ink_CDSS = resize(read_alphabet(folder, OMNIGLOT_SETS[data]).astype(np.float32), SIDE)
    # multiples of 17 / 15, none of which lies half way: rounded alike on all machines
    images_CDSS = np.rint(255 * ink_CDSS).astype(np.uint8)
    train, test = images_CDSS[:, :TRAINING_DRAWERS], images_CDSS[:, TRAINING_DRAWERS:]
    return Raw(_labeled(train), _labeled(test), names={})


def read_alphabet(folder: Path, alphabet: str) -> np.ndarray:
    """Upright drawings (C, D, 105, 105) bool, True where there is ink.

    Raises:
        DataError: there is no archive, or it is damaged, or lacks a drawing of the alphabet.
    """
    for path in (folder / name for name in ARCHIVES):
        try:
            with ZipFile(path) as archive:
                names = _members(archive.namelist(), alphabet)
                return np.stack([[_ink(archive, name) for name in row] for row in names])
        except FileNotFoundError:
            continue
        except Exception as error:  # a damaged archive raises whatever its parts raise
            raise DataError(f"{path}: damaged ({error}); need {HINT}") from error
    raise not_found(folder / ARCHIVES[0], HINT)


def _members(names: Iterable[str], alphabet: str) -> list[list[str]]:
    """Names of the drawings in an archive, a row per character, in the order of the drawers."""
    pattern = re.compile(rf"[^/]+/{re.escape(alphabet)}/character(\d\d)/\d+_(\d\d)\.png")
    matches = filter(None, map(pattern.fullmatch, names))
    found = {(int(match[1]), int(match[2])): match[0] for match in matches}
    rows = range(1, CHARACTERS[alphabet] + 1)
    lacking = [(c, d) for c in rows for d in range(1, DRAWERS + 1) if (c, d) not in found]
    if lacking:
        first = "character{:02d} by drawer {:02d}".format(*lacking[0])
        what = f"{len(lacking)} of the {len(rows) * DRAWERS} drawings of {alphabet}"
        raise ValueError(f"lacks {what}, first {first}")
    return [[found[c, d] for d in range(1, DRAWERS + 1)] for c in rows]


def _ink(archive: ZipFile, name: str) -> np.ndarray:
    """One drawing (105, 105) bool."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(archive.read(name)), formats=["PNG"]) as image:
            if (image.mode, image.size) != ("1", (DRAWN, DRAWN)):
                raise ValueError(f"mode {image.mode}, {image.size}; need 1, {(DRAWN, DRAWN)}")
            return ~np.asarray(image)  # paper is white
    except Exception as error:
        raise ValueError(f"{name}: {error}") from error


def _labeled(images_CDSS: np.ndarray) -> Labeled:
    C, D = images_CDSS.shape[:2]
    return images_CDSS.reshape(-1, SIDE, SIDE), np.repeat(np.arange(1, C + 1), D).astype(np.uint8)
