"""The bank of a data set: the first P symbols of an alphabet, N training images of each.

Real data are read from the official files, which the user places in a folder; nothing is ever
downloaded. What was read last is kept, at most POOL images per class, so that banks of other P, N
or side do not unpack the files again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from grokmodel.data.alphabets import check_alphabet, symbol_order
from grokmodel.data.bank import HELD_OUT, SymbolBank, fingerprint, resize
from grokmodel.data.emnist import emnist
from grokmodel.data.files import Raw
from grokmodel.data.glyphs import glyph_bank
from grokmodel.data.kuzushiji import kuzushiji
from grokmodel.data.names import DATASETS, EMNIST_SETS, GLYPHS, KUZUSHIJI, OMNIGLOT_SETS, PLAIN
from grokmodel.data.omniglot import omniglot
from grokmodel.errors import ConfigError, DataError

POOL = 1000
"""Images per class for training a decoder, at most, unless N is larger."""
ALIKE = 1e-6
"""Standard deviation of a bank, in units of full ink, that rounding alone may give it."""


@dataclass(frozen=True)
class Classes:
    """Images of every label of a data set, uint8."""

    train: dict[int, np.ndarray]
    test: dict[int, np.ndarray]
    counts: dict[int, int]
    """Training images per label, of which `train` may hold only the first."""
    names: dict[int, str]


def load_bank(
    data: str,
    P: int,
    N: int,
    side: int,
    alphabet: str = PLAIN,
    images_hash: str = "",
    root: str | Path = "data",
) -> SymbolBank:
    """The bank of the first P symbols of `data`.

    Args:
        alphabet: `plain` or `distinct`, see `alphabets`.
        images_hash: the fingerprint that the bank must have; empty: any.
        root: folder of the data files. Not used by `glyphs`.

    Raises:
        DataError: a file is missing, damaged or not what its name says; or the images are others
            than those of `images_hash`.
        ConfigError: the data have fewer than P classes, or fewer than N images in one of them.
    """
    check_alphabet(data, alphabet)
    if data == GLYPHS:
        bank, where = (
            glyph_bank(P, N, side),
            "the built-in glyphs (they depend on Pillow, FreeType and the fonts of matplotlib)",
        )
    else:
        folder = Path(root)
        bank, where = _bank_of_files(data, P, N, side, alphabet, folder), f"{data} in {folder}"
    if images_hash and bank.fingerprint != images_hash:
        raise DataError(
            f"images of {where}: fingerprint {bank.fingerprint}; the trial was made with "
            f"{images_hash}: need the images it was trained on"
        )
    return bank


def _bank_of_files(data: str, P: int, N: int, side: int, alphabet: str, folder: Path) -> SymbolBank:
    found = _classes(data, folder, max(N, POOL), _state_of(folder))
    labels = symbol_order(np.array(sorted(found.train)), data, alphabet)
    if len(labels) < P:
        raise ConfigError("P", P, f"{len(labels)} or less, the classes of {data} in {folder}")
    chosen = [int(label) for label in labels[:P]]
    for label in chosen:
        if found.counts[label] < N:
            images = f"{found.counts[label]} or less, the images of class {label}"
            raise ConfigError("N", N, f"{images} of {data} in {folder}")
    # every class gets the same number, so that the banks are plain arrays
    most = min(found.counts[label] for label in chosen)
    kept = min(len(found.test[label]) for label in chosen)
    pool = np.stack([found.train[label][: max(N, min(most, POOL))] for label in chosen])
    heldout = np.stack([found.test[label][:kept] for label in chosen])
    pool_PKSS = _scaled(pool, side)
    bank = SymbolBank(
        images=pool_PKSS[:, :N],
        heldout=_scaled(heldout, side),
        pool=pool_PKSS,
        labels=tuple(found.names.get(label, str(label)) for label in chosen),
        fingerprint=fingerprint([pool, heldout], P, N, side),
    )
    if not bank.std > ALIKE:
        raise DataError(f"{folder}: the first images of {P} classes of {data} are all alike; "
                        "need images that differ")  # fmt: skip
    return bank


@lru_cache(maxsize=1)
def _classes(data: str, folder: Path, per_class: int, state: object) -> Classes:
    """What the files hold, by label.

    Args:
        state: of the files: with another they are read again.
    """
    raw = read_files(data, folder)
    (images, labels), (test_images, test_labels) = raw.train, raw.test
    known = [int(label) for label in np.unique(labels)]
    return Classes(
        # copies, so that the whole file does not stay in memory
        train={k: images[np.flatnonzero(labels == k)[:per_class]] for k in known},
        test={k: test_images[np.flatnonzero(test_labels == k)[:HELD_OUT]] for k in known},
        counts={k: int((labels == k).sum()) for k in known},
        names=raw.names,
    )


def read_files(data: str, folder: Path) -> Raw:
    """All images that the official files of a data set hold.

    Raises:
        DataError: a file is missing, damaged or not what its name says.
        ConfigError: there is no such data set, or it has no files.
    """
    if data in EMNIST_SETS:
        return emnist(folder, data)
    if data == KUZUSHIJI:
        return kuzushiji(folder)
    if data in OMNIGLOT_SETS:
        return omniglot(folder, data)
    raise ConfigError("data", data, f"one of {', '.join(DATASETS)}")


def _state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the files of a folder; empty if there is none."""
    try:
        entries = [(entry.name, entry.stat()) for entry in os.scandir(folder)]
    except OSError:  # the reader says what is wrong
        return ()
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in entries))


def _scaled(images: np.ndarray, side: int) -> np.ndarray:
    return resize(images.astype(np.float32) / 255.0, side)
