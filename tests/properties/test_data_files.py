"""Damaged data files: a DataError that names the file, or images that can be trained on."""

import gzip
import io
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grokmodel.data.load import load_bank
from grokmodel.errors import ConfigError, DataError
from tests.grokmodel.data_files import (
    random_blocks,
    random_part,
    write_emnist,
    write_kuzushiji,
    write_omniglot,
)
from tests.properties.strategies import Damage, damages, share

PREFIXES = {"emnist": "emnist", "k49": "kuzushiji49", "images": "omniglot-katakana"}
"""How the names of the files of a data set begin."""
OMNIGLOT = "images_background.zip"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with small files of all kinds."""
    folder = tmp_path_factory.mktemp("whole")
    for part, seed in (("train", 1), ("test", 2)):
        images, labels = random_part(seed, per_class=2)
        write_emnist(folder, part, images, labels)
        write_kuzushiji(folder, part, images, labels)
    names = "".join(f"{k} {ord('A') + k}\n" for k in range(13))
    (folder / "emnist-bymerge-mapping.txt").write_text(names)
    write_omniglot(folder / OMNIGLOT, random_blocks())
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "data", dirs_exist_ok=True))


NAMES = [
    *(f"emnist-bymerge-{part}-images-idx3-ubyte.gz" for part in ("train", "test")),
    *(f"emnist-bymerge-{part}-labels-idx1-ubyte.gz" for part in ("train", "test")),
    "emnist-bymerge-mapping.txt",
    *(f"k49-{part}-{what}.npz" for part in ("train", "test") for what in ("imgs", "labels")),
    OMNIGLOT,
]
FILES = st.sampled_from(NAMES[:-1])  # 940 drawings take too long to be damaged by the hundred


def load_or_refused(folder, name):
    """Load what the file is part of; it has to be a bank that trains, or an error in words."""
    data = next(data for prefix, data in PREFIXES.items() if name.startswith(prefix))
    try:
        bank = load_bank(data, 3, 2, 9, root=folder)
    except DataError as refusal:
        error = str(refusal)
        assert str(folder) in error
        assert len(error.splitlines()) == 1
        return None
    except ConfigError as refusal:  # fewer classes or images than before
        assert refusal.field in ("P", "N")  # noqa: PT017
        return None
    assert np.isfinite(bank.standardized).all()
    assert bank.images.shape == (3, 2, 9, 9)
    return bank


def damaged(path, damage, inside):
    """The bytes of a file, damaged as they are or, of an archive, before they were packed."""
    data = path.read_bytes()
    if not inside or path.suffix == ".txt":
        return damage(data)
    if path.suffix == ".gz":
        return gzip.compress(damage(gzip.decompress(data)))
    out = io.BytesIO()
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(out, "w") as archive:
        archive.writestr("arr_0.npy", damage(whole.read("arr_0.npy")))
    return out.getvalue()


@share(6)
@given(name=FILES, damage=damages(), inside=st.booleans())
@example("emnist-bymerge-train-images-idx3-ubyte.gz", Damage("zero", 0.5, 1, b""), True)
def test_a_damaged_file_is_named_or_still_valid(folder, whole, name, damage, inside):
    (folder / name).write_bytes(damaged(whole / name, damage, inside))
    load_or_refused(folder, name)
    shutil.copy(whole / name, folder / name)


@share(1)
@given(FILES, FILES)
def test_a_file_in_the_place_of_another_is_named_or_fits(folder, whole, name, other):
    shutil.copy(whole / other, folder / name)
    load_or_refused(folder, name)
    shutil.copy(whole / name, folder / name)


@pytest.mark.parametrize("kind", ["gone", "empty", "dir"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_none_is_named(folder, name, kind):
    """Only the names of classes may be absent, or none."""
    (folder / name).unlink()
    if kind == "empty":
        (folder / name).touch()
    elif kind == "dir":
        (folder / name).mkdir()
    is_optional = "mapping" in name and kind != "dir"
    assert (load_or_refused(folder, name) is not None) == is_optional


def npy_header(shape, descr="|u1", order=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    "raw",
    [
        npy_header((10**6, 10**4, 10**4)),
        npy_header((2**62, 28, 28)),
        npy_header((-1, 28, 28)) + bytes(784),
        npy_header((1, 28, 28), descr="|O") + bytes(784),
        npy_header((0, 28, 28)),
        npy_header((1, 2), descr="<M8[zz]"),
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"",
    ],
)
def test_an_npz_file_that_promises_the_moon_is_named(folder, raw):
    with zipfile.ZipFile(folder / "k49-train-imgs.npz", "w") as archive:
        archive.writestr("arr_0.npy", raw)
    with pytest.raises(DataError, match=r"k49-train-"):
        load_bank("kuzushiji49", 3, 2, 9, root=folder)


def test_an_encrypted_archive_is_named(folder):
    path = folder / "k49-train-imgs.npz"
    data = bytearray(path.read_bytes())
    for head, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(head) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        load_bank("kuzushiji49", 3, 2, 9, root=folder)


@pytest.mark.parametrize("data", PREFIXES.values())
def test_images_that_are_all_alike_are_refused(folder, data):
    """They have no variance to scale to one."""
    labels = np.repeat(np.arange(13), 2).astype(np.uint8)
    blank = np.full((26, 28, 28), 9, np.uint8)
    write_emnist(folder, "train", blank, labels)
    write_kuzushiji(folder, "train", blank, labels)
    write_omniglot(folder / OMNIGLOT, np.ones_like(random_blocks()))
    with pytest.raises(DataError, match="all alike"):
        load_bank(data, 3, 2, 9, root=folder)


def test_a_data_folder_that_is_a_file_is_named(folder):
    for data in PREFIXES.values():
        with pytest.raises(DataError, match=r"need the official|not found"):
            load_bank(data, 3, 2, 9, root=folder / "emnist-bymerge-mapping.txt")
