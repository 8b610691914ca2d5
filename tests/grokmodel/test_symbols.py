import gzip
import struct

import numpy as np
import pytest
import torch

from grokmodel.alphabets import DISTINCT_ORDER, MERGED
from grokmodel.config import ConfigError
from grokmodel.limits import ALPHABETS
from grokmodel.symbols import (
    IDX_IMAGES,
    IDX_LABELS,
    DataError,
    load_bank,
    read_emnist,
    read_idx,
    read_kuzushiji,
    resize,
)
from tests.grokmodel.tiny import synthetic_bank

CLASSES = 13
PER_CLASS = 4


def idx_bytes(array):
    """An array as the official files store it, before gzip."""
    magic = {1: IDX_LABELS, 3: IDX_IMAGES}[array.ndim]
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def emnist_path(folder, part, what, kind="bymerge"):
    return folder / f"emnist-{kind}-{part}-{what}-idx{3 if what == 'images' else 1}-ubyte.gz"


def write_emnist(folder, part, images, labels, kind="bymerge"):
    """Upright images and labels as official files, which store every image transposed."""
    stored = np.ascontiguousarray(images.transpose(0, 2, 1))
    emnist_path(folder, part, "images", kind).write_bytes(gzip.compress(idx_bytes(stored)))
    emnist_path(folder, part, "labels", kind).write_bytes(gzip.compress(idx_bytes(labels)))


def write_kuzushiji(folder, part, images, labels):
    np.savez_compressed(folder / f"k49-{part}-imgs.npz", images)
    np.savez_compressed(folder / f"k49-{part}-labels.npz", labels)


def random_part(seed, per_class=PER_CLASS):
    """Images without symmetry, and labels in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(CLASSES), per_class)).astype(np.uint8)
    return rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8), labels


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


@pytest.fixture
def kuzushiji(tmp_path):
    parts = {"train": random_part(3), "test": random_part(4)}
    for part, (images, labels) in parts.items():
        write_kuzushiji(tmp_path, part, images, labels)
    return tmp_path, parts


# --- resize --------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [8, 9, 14, 16, 20, 27])
def test_shrinking_keeps_the_mean(side):
    images = np.random.default_rng(0).random((3, 28, 28))
    assert resize(images, side).shape == (3, side, side)
    np.testing.assert_allclose(resize(images, side).mean((1, 2)), images.mean((1, 2)))


@pytest.mark.parametrize("side", [9, 16, 27])
def test_shrinking_a_plain_image_leaves_it_plain(side):
    np.testing.assert_allclose(resize(np.full((28, 28), 0.7), side), 0.7)


def test_halving_is_the_mean_of_two_by_two_blocks():
    images = np.random.default_rng(0).random((2, 28, 28))
    blocks = images.reshape(2, 14, 2, 14, 2).mean((2, 4))
    np.testing.assert_allclose(resize(images, 14), blocks)


def test_a_pixel_that_straddles_two_is_shared_by_overlap():
    image = np.zeros((3, 3))
    image[1, 0] = 1.0
    np.testing.assert_allclose(resize(image, 2), [[2 / 9, 0], [2 / 9, 0]])


def test_growing_pads_with_black_around_the_middle():
    images = np.random.default_rng(0).random((2, 28, 28))
    grown = resize(images, 32)
    np.testing.assert_array_equal(grown[:, 2:30, 2:30], images)
    assert grown.sum() == pytest.approx(images.sum())


def test_the_same_side_changes_nothing():
    images = np.random.default_rng(0).random((2, 28, 28))
    np.testing.assert_array_equal(resize(images, 28), images)


# --- bank ----------------------------------------------------------------------------------------


def test_standardized_images_are_centred_per_pixel_with_unit_variance():
    seen = synthetic_bank(7, 3, 8).standardized
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen.mean((0, 1)), 0, atol=1e-5)
    assert seen.std() == pytest.approx(1, abs=1e-5)


def test_ink_undoes_standardized():
    bank = synthetic_bank(7, 3, 8)
    back = bank.ink(torch.from_numpy(bank.standardized))
    np.testing.assert_allclose(back.numpy(), bank.images, atol=1e-6)


# --- EMNIST --------------------------------------------------------------------------------------


def test_reading_turns_the_stored_images_upright(emnist):
    folder, parts = emnist
    for part, (images, labels) in parts.items():
        found_images, found_labels = read_emnist(folder, "bymerge", part)
        np.testing.assert_array_equal(found_images, images)
        np.testing.assert_array_equal(found_labels, labels)


def test_letters_come_before_digits_and_are_named_by_the_mapping(emnist):
    folder, _ = emnist
    assert load_bank("emnist", 5, 1, 28, root=folder).labels == ("A", "B", "C", "0", "1")


def test_a_distinct_alphabet_begins_with_the_least_alike_of_the_classes_there_are(emnist):
    """The files hold the digits, A, B and C."""
    labels = load_bank("emnist", CLASSES, 1, 28, "distinct", root=emnist[0]).labels
    assert labels == tuple(c for c in DISTINCT_ORDER if c in "ABC0123456789")
    assert (labels[0], labels[-1]) == ("A", "1")


def test_a_distinct_alphabet_shows_the_images_of_its_labels(emnist):
    plain, distinct = (load_bank("emnist", CLASSES, 2, 28, a, root=emnist[0]) for a in ALPHABETS)
    for symbol, label in enumerate(distinct.labels):
        expected = plain.pool[plain.labels.index(label)]
        np.testing.assert_array_equal(distinct.pool[symbol], expected)


def test_every_merged_class_stands_in_the_distinct_order_once():
    assert sorted(DISTINCT_ORDER) == sorted(MERGED)


def test_the_first_symbols_of_a_distinct_alphabet_have_no_look_alikes():
    """Pairs that share a stroke in handwriting."""
    for pair in ("IL", "1I", "1L", "0O", "fF", "9q", "9g", "gq", "5S", "2Z", "tT", "6b", "4Y"):
        assert not set(pair) <= set(DISTINCT_ORDER[:35]), pair


@pytest.mark.parametrize("data", ["glyphs", "kuzushiji49", "emnist-letters"])
def test_data_without_a_distinct_alphabet_say_so(data, tmp_path):
    with pytest.raises(ConfigError, match=r"alphabet = 'distinct'.*emnist and emnist-balanced"):
        load_bank(data, 3, 1, 28, "distinct", root=tmp_path)


def test_a_bank_holds_the_images_of_its_classes(emnist):
    folder, parts = emnist
    bank = load_bank("emnist", 4, 2, 28, root=folder)
    for symbol, label in enumerate([10, 11, 12, 0]):
        for part, found in (("train", bank.pool), ("test", bank.heldout)):
            images, labels = parts[part]
            expected = images[labels == label].astype(np.float32) / 255
            np.testing.assert_allclose(found[symbol], expected, rtol=1e-6)
    np.testing.assert_array_equal(bank.images, bank.pool[:, :2])


def test_a_bank_has_images_of_the_side_asked_for(emnist):
    bank = load_bank("emnist", 3, 2, 16, root=emnist[0])
    assert bank.images.shape == (3, 2, 16, 16)
    assert bank.images.dtype == np.float32
    assert bank.images.min() >= 0
    assert bank.images.max() <= 1


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


def test_the_folder_comes_from_the_environment_when_none_is_given(emnist, monkeypatch):
    monkeypatch.setenv("GROK_DATA", str(emnist[0]))
    assert load_bank("emnist", 3, 1, 28).labels == ("A", "B", "C")


def test_data_of_an_unknown_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"mnist-9.*glyphs, kuzushiji49.*emnist-letters"):
        load_bank("mnist-9", 3, 1, 28, root=tmp_path)


def test_more_symbols_than_classes_are_refused(emnist):
    folder, _ = emnist
    with pytest.raises(ConfigError) as caught:
        load_bank("emnist", CLASSES + 1, 1, 28, root=folder)
    assert (caught.value.field, caught.value.value) == ("P", CLASSES + 1)
    assert f"{CLASSES} or less" in str(caught.value)
    assert str(folder) in str(caught.value)


def test_more_images_than_a_class_has_are_refused(emnist):
    folder, _ = emnist
    with pytest.raises(ConfigError) as caught:
        load_bank("emnist", 3, PER_CLASS + 1, 28, root=folder)
    assert (caught.value.field, caught.value.value) == ("N", PER_CLASS + 1)
    assert f"{PER_CLASS} or less" in str(caught.value)
    assert str(folder) in str(caught.value)


IMAGE_DAMAGE = {
    "missing": (None, "not found"),
    "empty": (b"", "0 bytes"),
    "not gzip": (idx_bytes(np.zeros((1, 28, 28), np.uint8)), "cannot be read"),
    "gzip cut short": (gzip.compress(bytes(range(256)) * 40)[:-9], "damaged"),
    "gzip with a broken body": (gzip.compress(bytes(9999))[:10] + b"\xff" * 40, "damaged"),
    "header cut short": (gzip.compress(struct.pack(">II", IDX_IMAGES, 1)), "header of 16"),
    "labels for images": (gzip.compress(idx_bytes(np.zeros(99, np.uint8))), "need 2051"),
    "data cut short": (
        gzip.compress(idx_bytes(np.zeros((2, 28, 28), np.uint8))[:-1]),
        "1567 bytes",
    ),
    "data too long": (
        gzip.compress(idx_bytes(np.zeros((2, 28, 28), np.uint8)) + b"0"),
        "1569 bytes",
    ),
    "huge header": (gzip.compress(struct.pack(">IIII", IDX_IMAGES, 2**31, 2**31, 4)), "0 bytes"),
    "images of another size": (
        gzip.compress(idx_bytes(np.zeros((52, 8, 8), np.uint8))),
        "(28, 28)",
    ),
}


@pytest.mark.parametrize("damage", IMAGE_DAMAGE)
def test_a_damaged_image_file_is_named_with_what_is_wrong(emnist, damage):
    folder, _ = emnist
    content, words = IMAGE_DAMAGE[damage]
    path = emnist_path(folder, "train", "images")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_bank("emnist", 3, 1, 28, root=folder)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "need" in str(caught.value) or "official" in str(caught.value)


def test_a_damaged_label_file_is_named(emnist):
    folder, _ = emnist
    path = emnist_path(folder, "test", "labels")
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((1, 28, 28), np.uint8))))
    with pytest.raises(DataError, match=f"{path.name}.*2051.*need {IDX_LABELS}"):
        load_bank("emnist", 3, 1, 28, root=folder)


def test_as_many_labels_as_images_are_needed(emnist):
    folder, parts = emnist
    labels = parts["train"][1][:-1]
    emnist_path(folder, "train", "labels").write_bytes(gzip.compress(idx_bytes(labels)))
    with pytest.raises(DataError, match=r"emnist-bymerge-train.*52 images but 51 labels"):
        load_bank("emnist", 3, 1, 28, root=folder)


@pytest.mark.parametrize("text", ["ten 65", "10", "10 -5", "10 99999999999", "\x00"])
def test_a_damaged_mapping_file_is_named(emnist, text):
    folder, _ = emnist
    (folder / "emnist-bymerge-mapping.txt").write_text(text)
    with pytest.raises(DataError, match=r"emnist-bymerge-mapping\.txt.*need lines of"):
        load_bank("emnist", 3, 1, 28, root=folder)


def test_a_file_without_items_has_no_classes(emnist):
    folder, _ = emnist
    write_emnist(folder, "train", np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8))
    with pytest.raises(ConfigError, match=r"P = 3.*0 or less"):
        load_bank("emnist", 3, 1, 28, root=folder)


def test_an_idx_file_reads_back_as_written(tmp_path):
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    (tmp_path / "x.gz").write_bytes(gzip.compress(idx_bytes(array)))
    np.testing.assert_array_equal(read_idx(tmp_path / "x.gz", IDX_IMAGES, dims=3), array)


# --- the real EMNIST -----------------------------------------------------------------------------


def test_the_first_real_symbols_are_the_letters(emnist_folder):
    bank = load_bank("emnist", 23, 4, 16, root=emnist_folder)
    assert "".join(bank.labels) == "ABCDEFGHIJKLMNOPQRSTUVW"
    assert bank.images.shape == (23, 4, 16, 16)


def test_real_letters_stand_upright(emnist_folder):
    bank = load_bank("emnist", 23, 100, 28, root=emnist_folder)
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


# --- Kuzushiji-49 --------------------------------------------------------------------------------


def test_kuzushiji_files_read_back_as_written(kuzushiji):
    folder, parts = kuzushiji
    for part, (images, labels) in parts.items():
        found_images, found_labels = read_kuzushiji(folder, part)
        np.testing.assert_array_equal(found_images, images)
        np.testing.assert_array_equal(found_labels, labels)


def test_a_kuzushiji_bank_holds_the_images_of_its_classes(kuzushiji):
    folder, parts = kuzushiji
    bank = load_bank("kuzushiji49", 3, 2, 28, root=folder)
    images, labels = parts["train"]
    np.testing.assert_allclose(
        bank.pool[1], images[labels == 1].astype(np.float32) / 255, rtol=1e-6
    )
    assert bank.labels == ("0", "1", "2")


def save_objects(path):
    np.savez(path, np.array([{"a": 1}], dtype=object))


def save_plain_npy(path):
    with path.open("wb") as file:  # a path would get a second suffix
        np.save(file, np.zeros((3, 28, 28), np.uint8))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-40])


NPZ_DAMAGE = {
    "missing": (lambda path: path.unlink(), "not found"),
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "garbage": (lambda path: path.write_bytes(b"no archive " * 99), "damaged"),
    "cut short": (cut_short, "damaged"),
    "pickled objects": (save_objects, "damaged"),
    "another array name": (lambda path: np.savez(path, images=np.zeros(3)), "damaged"),
    "an npy file": (save_plain_npy, "damaged"),
    "floats": (lambda path: np.savez(path, np.zeros((52, 28, 28))), "need uint8"),
    "flat images": (lambda path: np.savez(path, np.zeros((52, 784), np.uint8)), "3"),
    "another size": (lambda path: np.savez(path, np.zeros((52, 8, 8), np.uint8)), "(28, 28)"),
    "another count": (lambda path: np.savez(path, np.zeros((51, 28, 28), np.uint8)), "52 labels"),
}


@pytest.mark.parametrize("damage", NPZ_DAMAGE)
def test_a_damaged_npz_file_is_named_with_what_is_wrong(kuzushiji, damage):
    folder, _ = kuzushiji
    apply, words = NPZ_DAMAGE[damage]
    apply(folder / "k49-train-imgs.npz")
    with pytest.raises(DataError) as caught:
        load_bank("kuzushiji49", 3, 1, 28, root=folder)
    assert str(folder / "k49-train-") in str(caught.value)
    assert words in str(caught.value)


class MakesAFile:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_an_npz_file_cannot_run_code(kuzushiji):
    folder, _ = kuzushiji
    np.savez(folder / "k49-train-imgs.npz", np.array([MakesAFile(folder / "ran")], dtype=object))
    with pytest.raises(DataError, match=r"k49-train-imgs\.npz"):
        load_bank("kuzushiji49", 3, 1, 28, root=folder)
    assert not (folder / "ran").exists()


def test_kuzushiji_banks_check_classes_and_images(kuzushiji):
    folder, _ = kuzushiji
    with pytest.raises(ConfigError, match=f"P = 50.*{CLASSES} or less"):
        load_bank("kuzushiji49", 50, 1, 28, root=folder)
    with pytest.raises(ConfigError, match=f"N = 99.*{PER_CLASS} or less"):
        load_bank("kuzushiji49", 3, 99, 28, root=folder)
