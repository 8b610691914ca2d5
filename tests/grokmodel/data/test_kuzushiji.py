"""Kuzushiji-49 is read as it was written; damaged files are named, and run no code."""

import numpy as np
import pytest

from grokmodel.data.load import load_bank
from grokmodel.errors import DataError
from tests.grokmodel.data_files import random_part, write_kuzushiji
from tests.grokmodel.pickles import MakesAFile


@pytest.fixture
def kuzushiji(tmp_path):
    parts = {"train": random_part(3), "test": random_part(4)}
    for part, (images, labels) in parts.items():
        write_kuzushiji(tmp_path, part, images, labels)
    return tmp_path, parts


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_kuzushiji_bank_holds_the_images_of_its_classes(kuzushiji, order):
    """In whichever order numpy has written them."""
    folder, parts = kuzushiji
    images, labels = parts["train"]
    write_kuzushiji(folder, "train", np.asarray(images, order=order), labels)
    bank = load_bank("kuzushiji49", 3, 2, 28, root=folder)
    np.testing.assert_allclose(bank.pool[1], images[labels == 1] / np.float32(255), rtol=1e-6)
    assert bank.labels == ("0", "1", "2")


def save_plain_npy(path):
    with path.open("wb") as file:  # a path would get a second suffix
        np.save(file, np.zeros((3, 28, 28), np.uint8))


NPZ_DAMAGE = {
    "missing": (lambda path: path.unlink(), "not found"),
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "garbage": (lambda path: path.write_bytes(b"no archive " * 99), "damaged"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "damaged"),
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


def test_an_npz_file_cannot_run_code(kuzushiji):
    folder, _ = kuzushiji
    np.savez(folder / "k49-train-imgs.npz", np.array([MakesAFile(folder / "ran")], dtype=object))
    with pytest.raises(DataError, match=r"k49-train-imgs\.npz"):
        load_bank("kuzushiji49", 3, 1, 28, root=folder)
    assert not (folder / "ran").exists()
