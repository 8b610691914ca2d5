"""Symbol banks: N training images and some held-out images for each of P classes.

Images are float32 in [0, 1], ink bright on black. Real data are read from the official files, which
the user places in a folder; nothing is ever downloaded. The built-in glyphs live in `glyphs.py`.

Shapes: P classes, N images a class, S side in pixels.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from grokmodel.data.alphabets import PLAIN, check_alphabet, symbol_order
from grokmodel.errors import UserError
from grokmodel.image.config import ConfigError

HELD_OUT = 64
"""Held-out images a class, at most."""
IDX_LABELS, IDX_IMAGES = 2049, 2051
"""Magic numbers of the IDX format (uint8, 1 and 3 dimensions)."""
NPY_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Version of an npy file -> what reads its header."""

EMNIST_FILES = {
    "emnist": "bymerge",
    "emnist-balanced": "balanced",
    "emnist-letters": "letters",
    "emnist-byclass": "byclass",
}


class DataError(UserError, ValueError):
    """A data file is missing, damaged or too small. Names the file, what was found and needed."""


@dataclass(frozen=True)
class SymbolBank:
    """The images of one alphabet."""

    images: np.ndarray
    """(P, N, S, S) float32 in [0, 1]: the images that train."""
    heldout: np.ndarray
    """(P, K, S, S) float32 in [0, 1]: images of the same classes that never train; K may be 0."""
    pool: np.ndarray
    """(P, K', S, S): every image that is not held out, for training a decoder."""
    labels: tuple[str, ...]
    """What each symbol shows."""

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean image (S, S)."""
        return self.images.mean((0, 1))

    @cached_property
    def std(self) -> float:
        """Standard deviation of all pixels about the mean image."""
        return float((self.images - self.mean).std())

    @cached_property
    def standardized(self) -> np.ndarray:
        """The images centred per pixel and scaled to unit variance: what a model sees."""
        return (self.images - self.mean) / self.std

    @cached_property
    def standardized_heldout(self) -> np.ndarray:
        """The held-out images by the mean and scale of those that train."""
        return (self.heldout - self.mean) / self.std

    def ink(self, standardized: Tensor) -> Tensor:
        """Back from standardized pixels (..., S, S) to ink units: [0, 1], give or take."""
        mean = torch.from_numpy(self.mean).to(standardized.device)
        return standardized * self.std + mean


def load_bank(
    data: str,
    P: int,
    N: int,
    side: int,
    alphabet: str = PLAIN,
    root: str | Path | None = None,
) -> SymbolBank:
    """The bank of the first P symbols of `data`.

    Args:
        alphabet: `plain` or `distinct`, see `alphabets.py`.
        root: folder of the data files; default `GROK_DATA`. Not used by `glyphs`.

    Raises:
        DataError: a file is missing, damaged or not what its name says.
        ConfigError: the data have fewer than P classes, or fewer than N images in one of them.
    """
    check_alphabet(data, alphabet)
    if data == "glyphs":
        from grokmodel.data.glyphs import glyph_bank

        return glyph_bank(P, N, side)
    folder = Path(root or os.environ.get("GROK_DATA", "data"))
    if data in EMNIST_FILES:
        kind = EMNIST_FILES[data]
        train = read_emnist(folder, kind, "train")
        test = read_emnist(folder, kind, "test")
        names = _emnist_names(folder, kind)
    elif data == "kuzushiji49":
        train, test = read_kuzushiji(folder, "train"), read_kuzushiji(folder, "test")
        names = {}
    else:
        raise ConfigError("data", data, f"glyphs, kuzushiji49 or one of {', '.join(EMNIST_FILES)}")
    classes = symbol_order(np.unique(train[1]), data, alphabet)
    if len(classes) < P:
        raise ConfigError("P", P, f"{len(classes)} or less, the classes of {data} in {folder}")
    pool, heldout = [], []
    for label in classes[:P]:
        found = train[0][train[1] == label]
        if len(found) < N:
            allowed = f"{len(found)} or less, the images of class {label} of {data} in {folder}"
            raise ConfigError("N", N, allowed)
        pool.append(found)
        heldout.append(test[0][test[1] == label][:HELD_OUT])
    # every class gets the same number, so that the banks are plain arrays
    most = min(map(len, pool))
    kept = min(map(len, heldout))
    pool_PKSS = _scaled(np.stack([x[: max(N, min(most, 1000))] for x in pool]), side)
    bank = SymbolBank(
        images=pool_PKSS[:, :N],
        heldout=_scaled(np.stack([x[:kept] for x in heldout]), side),
        pool=pool_PKSS,
        labels=tuple(names.get(int(k), str(k)) for k in classes[:P]),
    )
    if not bank.std > 0:
        raise DataError(f"{folder}: the first images of {P} classes of {data} are all alike; "
                        "need images that differ")  # fmt: skip
    return bank


def resize(images: np.ndarray, side: int) -> np.ndarray:
    """Square images (..., S, S) to (..., side, side): padded to grow, area-averaged to shrink."""
    S = images.shape[-1]
    if side >= S:
        before = (side - S) // 2
        margin = [(0, 0)] * (images.ndim - 2) + [(before, side - S - before)] * 2
        return np.pad(images, margin)
    edges = np.linspace(0, S, side + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(S)
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    weight = (overlap * side / S).astype(images.dtype)
    return weight @ images @ weight.T


def _scaled(images: np.ndarray, side: int) -> np.ndarray:
    return resize(images.astype(np.float32) / 255.0, side)


# --- EMNIST: gzip IDX ----------------------------------------------------------------------------


def read_emnist(folder: Path, kind: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Upright images (n, 28, 28) uint8 and labels (n,) of one part (`train`, `test`) of EMNIST."""
    stem = folder / f"emnist-{kind}-{part}"
    images = read_idx(Path(f"{stem}-images-idx3-ubyte.gz"), IDX_IMAGES, dims=3)
    labels = read_idx(Path(f"{stem}-labels-idx1-ubyte.gz"), IDX_LABELS, dims=1)
    if len(images) != len(labels):
        raise DataError(f"{stem}-*: {len(images)} images but {len(labels)} labels; need as many")
    if images.shape[1:] != (28, 28):
        raise DataError(f"{stem}-images-idx3-ubyte.gz: images of {images.shape[1:]}; need (28, 28)")
    return images.swapaxes(1, 2), labels


def read_idx(path: Path, magic: int, dims: int) -> np.ndarray:
    """One gzip IDX file of uint8; every way that it can be wrong is a DataError."""
    hint = "the official EMNIST gzip files: https://www.nist.gov/itl/products-and-services/emnist-dataset"
    raw = _read(path, hint, gzip.decompress)
    if len(raw) < 4 + 4 * dims:
        raise DataError(
            f"{path}: {len(raw)} bytes after unpacking; need a header of {4 + 4 * dims}"
        )
    found = int.from_bytes(raw[:4], "big")
    if found != magic:
        raise DataError(f"{path}: magic number {found}; need {magic} (IDX, uint8, {dims}-d)")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", dims, offset=4))
    body = len(raw) - 4 - 4 * dims
    if body != math.prod(shape):
        raise DataError(
            f"{path}: {body} bytes of data; its header {shape} needs {math.prod(shape)}"
        )
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)


def _read(path: Path, hint: str, decode: Callable[[bytes], bytes]) -> bytes:
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        raise DataError(_not_found(path, hint)) from None
    except OSError as error:  # includes gzip.BadGzipFile
        raise DataError(f"{path}: cannot be read ({error}); need {hint}") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip ({error}); need {hint}") from error


def _not_found(path: Path, hint: str) -> str:
    where = f"put {hint} there, or name their folder by --data-root or GROK_DATA"
    return f"{path}: not found; {where}"


def _emnist_names(folder: Path, kind: str) -> dict[int, str]:
    """Label -> character, from the mapping file if it is there."""
    path = folder / f"emnist-{kind}-mapping.txt"
    try:
        if not path.exists():
            return {}
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        return {int(row[0]): chr(int(row[1])) for row in rows}
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{path}: {error}; need lines of 'label code'") from error


# --- Kuzushiji-49: npz ---------------------------------------------------------------------------


def read_kuzushiji(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 28, 28) uint8 and labels (n,) of one part (`train`, `test`) of Kuzushiji-49."""
    images = _read_npz(folder / f"k49-{part}-imgs.npz", dims=3)
    labels = _read_npz(folder / f"k49-{part}-labels.npz", dims=1)
    if len(images) != len(labels):
        raise DataError(f"{folder}/k49-{part}-*: {len(images)} images but {len(labels)} labels")
    if images.shape[1:] != (28, 28):
        raise DataError(
            f"{folder}/k49-{part}-imgs.npz: images of {images.shape[1:]}; need (28, 28)"
        )
    return images, labels


def _read_npz(path: Path, dims: int) -> np.ndarray:
    hint = "the official Kuzushiji-49 npz files: http://codh.rois.ac.jp/kmnist/"
    try:
        with ZipFile(path) as archive:
            array = _npy(archive.read("arr_0.npy"))
    except FileNotFoundError:
        raise DataError(_not_found(path, hint)) from None
    except Exception as error:  # a damaged archive raises whatever its parts raise
        raise DataError(f"{path}: damaged ({error}); need {hint}") from error
    if array.dtype != np.uint8 or array.ndim != dims:
        found = f"{array.dtype} with {array.ndim} dimensions"
        raise DataError(f"{path}: arr_0 is {found}; need uint8 with {dims}")
    return array


def _npy(raw: bytes) -> np.ndarray:
    """The array of an npy file; never unpickles, and takes no more memory than there are bytes."""
    file = io.BytesIO(raw)
    version = npy.read_magic(file)
    if version not in NPY_HEADERS:
        raise ValueError(f"npy version {version}; need 1.0 or 2.0")
    shape, is_fortran, dtype = NPY_HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("pickled objects; need numbers")
    body = raw[file.tell() :]
    if min(shape, default=0) < 0 or len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(body)} bytes of data for an array of shape {shape}")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if is_fortran else "C")
