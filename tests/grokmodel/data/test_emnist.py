"""EMNIST is read as it was written, upright and in the order asked for; damaged files are named."""

import gzip
import struct

import numpy as np
import pytest

from grokmodel.data.alphabets import DISTINCT_ORDER, MERGED
from grokmodel.data.emnist import IDX_IMAGES
from grokmodel.data.load import load_bank
from grokmodel.data.names import ALPHABETS
from grokmodel.errors import ConfigError, DataError
from tests.grokmodel.data_files import (
    CLASSES,
    PER_CLASS,
    emnist_path,
    idx_bytes,
    random_part,
    write_emnist,
)


@pytest.fixture
def emnist(tmp_path):
    """A folder with small by-merge files; the parts as (images, labels)."""
    parts = {"train": random_part(1), "test": random_part(2)}
    for part, (images, labels) in parts.items():
        write_emnist(tmp_path, part, images, labels)
    codes = {k: ord("0") + k if k < 10 else ord("A") + k - 10 for k in range(CLASSES)}
    text = "".join(f"{label} {code}\n" for label, code in codes.items())
    (tmp_path / "emnist-bymerge-mapping.txt").write_text(text)
    return tmp_path, parts


def test_a_distinct_alphabet_begins_with_the_least_alike_of_the_classes_there_are(emnist):
    """The files hold the digits, A, B and C."""
    plain, distinct = (load_bank("emnist", CLASSES, 2, 28, a, root=emnist[0]) for a in ALPHABETS)
    assert sorted(DISTINCT_ORDER) == sorted(MERGED)
    assert distinct.labels == tuple(c for c in DISTINCT_ORDER if c in "ABC0123456789")
    for symbol, label in enumerate(distinct.labels):
        expected = plain.pool[plain.labels.index(label)]
        np.testing.assert_array_equal(distinct.pool[symbol], expected)


def test_the_first_symbols_of_a_distinct_alphabet_have_no_look_alikes():
    """Pairs that share a stroke in handwriting."""
    for pair in ("IL", "1I", "1L", "0O", "fF", "9q", "9g", "gq", "5S", "2Z", "tT", "6b", "4Y"):
        assert not set(pair) <= set(DISTINCT_ORDER[:35]), pair


def test_a_bank_holds_the_upright_images_of_its_classes(emnist):
    """Letters come before digits and are named by the mapping."""
    folder, parts = emnist
    bank = load_bank("emnist", 4, 2, 28, root=folder)
    assert bank.labels == ("A", "B", "C", "0")
    for symbol, label in enumerate([10, 11, 12, 0]):
        for part, found in (("train", bank.pool), ("test", bank.heldout)):
            images, labels = parts[part]
            expected = images[labels == label].astype(np.float32) / 255
            np.testing.assert_allclose(found[symbol], expected, rtol=1e-6)
    np.testing.assert_array_equal(bank.images, bank.pool[:, :2])


def test_classes_of_unequal_size_are_cut_to_the_smallest(emnist):
    folder, parts = emnist
    images, labels = parts["test"]
    keep = np.arange(len(labels)) != np.flatnonzero(labels == 11)[0]
    write_emnist(folder, "test", images[keep], labels[keep])
    assert load_bank("emnist", 3, 1, 28, root=folder).heldout.shape[1] == PER_CLASS - 1


def test_labels_are_class_numbers_without_a_mapping_file(emnist):
    folder, _ = emnist
    (folder / "emnist-bymerge-mapping.txt").unlink()
    assert load_bank("emnist", 3, 1, 28, root=folder).labels == ("10", "11", "12")


def test_letters_files_start_with_their_first_class(tmp_path):
    for part in ("train", "test"):
        write_emnist(tmp_path, part, *random_part(1), kind="letters")
    assert load_bank("emnist-letters", 3, 1, 28, root=tmp_path).labels == ("0", "1", "2")


@pytest.mark.parametrize(
    ("field", "P", "N", "most"),
    [("P", CLASSES + 1, 1, CLASSES), ("N", 3, PER_CLASS + 1, PER_CLASS), ("P", 3, 1, 0)],
)
def test_more_symbols_or_images_than_there_are_are_refused(emnist, field, P, N, most):
    folder, _ = emnist
    if not most:
        write_emnist(folder, "train", np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8))
    with pytest.raises(ConfigError, match=f"{most} or less.*{folder}") as caught:
        load_bank("emnist", P, N, 28, root=folder)
    assert (caught.value.field, caught.value.value) == (field, {"P": P, "N": N}[field])


def idx(*shape, change=lambda raw: raw):
    return gzip.compress(change(idx_bytes(np.zeros(shape, np.uint8))))


IMAGES, LABELS = ("train", "images"), ("train", "labels")
DAMAGE = {
    "missing": (IMAGES, None, "not found"),
    "empty": (IMAGES, b"", "0 bytes"),
    "not gzip": (IMAGES, idx_bytes(np.zeros((1, 28, 28), np.uint8)), "cannot be read"),
    "gzip cut short": (IMAGES, gzip.compress(bytes(range(256)) * 40)[:-9], "damaged"),
    "gzip broken": (IMAGES, gzip.compress(bytes(9999))[:10] + b"\xff" * 40, "damaged"),
    "header cut short": (IMAGES, gzip.compress(struct.pack(">II", IDX_IMAGES, 1)), "header of 16"),
    "labels for images": (IMAGES, idx(99), "need 2051"),
    "images for labels": (LABELS, idx(1, 28, 28), "2051; need 2049"),
    "data cut short": (IMAGES, idx(2, 28, 28, change=lambda raw: raw[:-1]), "1567 bytes"),
    "data too long": (IMAGES, idx(2, 28, 28, change=lambda raw: raw + b"0"), "1569 bytes"),
    "huge header": (IMAGES, gzip.compress(struct.pack(">4I", IDX_IMAGES, 2**31, 2**31, 4)), "0 b"),
    "another size": (IMAGES, idx(52, 8, 8), "(28, 28)"),
    "another count": (LABELS, idx(51), "52 images but 51 labels; need"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_what_is_wrong(emnist, damage):
    folder, _ = emnist
    what, content, words = DAMAGE[damage]
    path = emnist_path(folder, *what)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_bank("emnist", 3, 1, 28, root=folder)
    assert str(folder / "emnist-bymerge-train-") in str(caught.value)
    assert words in str(caught.value)
    assert "need" in str(caught.value) or "official" in str(caught.value)


@pytest.mark.parametrize("text", ["ten 65", "10", "10 -5", "10 99999999999", "\x00"])
def test_a_damaged_mapping_file_is_named(emnist, text):
    folder, _ = emnist
    (folder / "emnist-bymerge-mapping.txt").write_text(text)
    with pytest.raises(DataError, match=r"emnist-bymerge-mapping\.txt.*need lines of"):
        load_bank("emnist", 3, 1, 28, root=folder)


# --- the real EMNIST ------------------------------------------------------------------------------


def test_real_letters_stand_upright(emnist_folder):
    bank = load_bank("emnist", 23, 100, 28, root=emnist_folder)
    assert "".join(bank.labels) == "ABCDEFGHIJKLMNOPQRSTUVW"
    shape = dict(zip(bank.labels, bank.images.mean(1)))
    assert shape["T"][:14].sum() > 1.2 * shape["T"][14:].sum()  # the bar is at the top
    assert shape["L"][14:].sum() > 1.2 * shape["L"][:14].sum()  # the foot is at the bottom
    assert shape["F"][:, :14].sum() > 1.1 * shape["F"][:, 14:].sum()  # the stem is at the left


def test_no_real_image_both_trains_and_is_held_out(emnist_folder):
    bank = load_bank("emnist", 10, 4, 28, root=emnist_folder)
    pool = {image.tobytes() for image in bank.pool.reshape(-1, 28, 28)}
    held_out = {image.tobytes() for image in bank.heldout.reshape(-1, 28, 28)}
    assert len(held_out) > 100
    assert not pool & held_out
