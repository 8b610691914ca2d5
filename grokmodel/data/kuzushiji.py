"""Kuzushiji-49 as CODH publishes it: npz files. Every way that they can be wrong is a DataError."""

from __future__ import annotations

import io
import math
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy

from grokmodel.data.files import Raw, not_found
from grokmodel.errors import DataError

NPY_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Version of an npy file -> what reads its header."""
HINT = "the official Kuzushiji-49 npz files: http://codh.rois.ac.jp/kmnist/"


def kuzushiji(folder: Path) -> Raw:
    """Training and test images."""
    return Raw(read_kuzushiji(folder, "train"), read_kuzushiji(folder, "test"), names={})


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
    try:
        with ZipFile(path) as archive:
            array = _npy(archive.read("arr_0.npy"))
    except FileNotFoundError:
        raise not_found(path, HINT) from None
    except Exception as error:  # a damaged archive raises whatever its parts raise
        raise DataError(f"{path}: damaged ({error}); need {HINT}") from error
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
