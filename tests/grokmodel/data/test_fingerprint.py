"""Files are part of what a trial is: banks of other images have another fingerprint."""

import numpy as np
import pytest

from grokmodel.data import glyphs, load
from grokmodel.data.load import load_bank
from grokmodel.errors import DataError
from tests.grokmodel.data_files import random_part, write_emnist

KEYS = [("emnist", 3, 1, 28), ("emnist", 3, 2, 28), ("emnist", 4, 1, 28), ("emnist", 3, 1, 14)]


def write(folder, seed, names=("train", "test")):
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(names):
        write_emnist(folder, part, *random_part(seed + number))


@pytest.fixture
def folders(tmp_path):
    """Two folders with files of the same names, of which one image differs in one pixel."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        write(folder, seed=1)
    images, labels = random_part(1)
    images[np.flatnonzero(labels == 10)[0], 13, 13] ^= 1  # class 10 is the first symbol
    write_emnist(other, "train", images, labels)
    return one, other


def test_equal_files_have_one_fingerprint_and_others_another(folders, tmp_path):
    write(tmp_path / "copy", seed=1)
    one, other, copy = (
        load_bank("emnist", 3, 1, 28, root=folder).fingerprint
        for folder in (*folders, tmp_path / "copy")
    )
    assert one == copy != other
    assert len(one) == 16


def test_banks_of_other_symbols_counts_or_sides_have_other_fingerprints(folders):
    found = {load_bank(*key, root=folders[0]).fingerprint for key in KEYS}
    assert len(found) == len(KEYS)


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_that_only_read_or_judge_samples_count_too(tmp_path, part):
    write(tmp_path, seed=1)
    before = load_bank("emnist", 3, 1, 28, root=tmp_path).fingerprint
    images, labels = random_part({"train": 1, "test": 2}[part])
    images[np.flatnonzero(labels == 10)[1]] = 7
    write_emnist(tmp_path, part, images, labels)
    assert load_bank("emnist", 3, 1, 28, root=tmp_path).fingerprint != before


def test_a_bank_of_other_images_than_the_trial_had_is_refused_by_name(folders):
    one, other = folders
    known = load_bank("emnist", 3, 1, 28, root=one).fingerprint
    assert load_bank("emnist", 3, 1, 28, images_hash=known, root=one).fingerprint == known
    with pytest.raises(DataError, match=f"emnist in {other}: fingerprint .* made with {known}"):
        load_bank("emnist", 3, 1, 28, images_hash=known, root=other)


def test_files_are_unpacked_once_for_all_banks_and_again_when_they_change(folders, monkeypatch):
    read = []
    monkeypatch.setattr(load, "read_files", lambda *args: read.append(args) or original(*args))
    load._classes.cache_clear()
    for key in KEYS:
        load_bank(*key, root=folders[0])
    assert len(read) == 1
    write(folders[0], seed=5)
    load_bank(*KEYS[0], root=folders[0])
    assert len(read) == 2


original = load.read_files


def test_glyphs_of_another_font_are_other_images(monkeypatch):
    """As by another version of FreeType, Pillow or matplotlib's fonts."""
    before = load_bank("glyphs", 3, 1, 8).fingerprint
    glyphs._images_of.cache_clear()
    assert load_bank("glyphs", 3, 1, 8).fingerprint == before
    with monkeypatch.context() as patch:
        patch.setattr(glyphs, "FONT_SIZE", 0.8)
        for cache in (glyphs._images_of, glyphs._font):
            cache.cache_clear()
        other = load_bank("glyphs", 3, 1, 8).fingerprint
    for cache in (glyphs._images_of, glyphs._font):
        cache.cache_clear()
    assert other != before
    with pytest.raises(DataError, match="Pillow, FreeType"):
        load_bank("glyphs", 3, 1, 8, images_hash=other)
