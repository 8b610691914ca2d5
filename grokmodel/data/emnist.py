"""EMNIST as NIST publishes it: gzip IDX files. Every way that they can be wrong is a DataError."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from grokmodel.data.files import Raw, not_found
from grokmodel.data.names import EMNIST_SETS
from grokmodel.errors import DataError

IDX_LABELS, IDX_IMAGES = 2049, 2051
"""Magic numbers of the IDX format (uint8, 1 and 3 dimensions)."""
HINT = (
    "the official EMNIST gzip files: https://www.nist.gov/itl/products-and-services/emnist-dataset"
)


def emnist(folder: Path, data: str) -> Raw:
    """Training and test images of one of EMNIST_SETS."""
    kind = EMNIST_SETS[data]
    train, test = read_emnist(folder, kind, "train"), read_emnist(folder, kind, "test")
    return Raw(train, test, names=emnist_names(folder, kind))


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
    raw = _unpacked(path)
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


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise not_found(path, HINT) from None
    except OSError as error:  # includes gzip.BadGzipFile
        raise DataError(f"{path}: cannot be read ({error}); need {HINT}") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip ({error}); need {HINT}") from error


def emnist_names(folder: Path, kind: str) -> dict[int, str]:
    """Label -> character, from the mapping file if it is there."""
    path = folder / f"emnist-{kind}-mapping.txt"
    try:
        if not path.exists():
            return {}
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        return {int(row[0]): chr(int(row[1])) for row in rows}
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{path}: {error}; need lines of 'label code'") from error
