"""Omniglot is read as it was drawn, in the order of its drawers; damaged archives are named."""

import numpy as np
import pytest
from PIL import Image

from grokmodel.data.load import load_bank
from grokmodel.errors import ConfigError, DataError
from tests.grokmodel.data_files import drawing_name, png, random_blocks, write_omniglot

KATAKANA = "omniglot-katakana"
BLOCKS = random_blocks()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "images_background.zip"
    write_omniglot(path, BLOCKS)
    return path


def test_drawers_give_the_images_in_their_order_and_the_last_four_are_held_out(archive):
    bank = load_bank(KATAKANA, 47, 3, 7, root=archive.parent)
    np.testing.assert_allclose(bank.images, BLOCKS[:, :3], atol=1e-6)
    np.testing.assert_allclose(bank.pool, BLOCKS[:, :16], atol=1e-6)
    np.testing.assert_allclose(bank.heldout, BLOCKS[:, 16:], atol=1e-6)
    assert bank.labels[:3] == ("1", "2", "3")


def test_an_image_is_as_large_as_one_of_emnist_and_padded_like_it(archive):
    bank = load_bank(KATAKANA, 3, 1, 32, root=archive.parent)
    expected = np.pad(np.kron(BLOCKS[2, 0], np.ones((4, 4))), 2)
    np.testing.assert_array_equal(bank.images[2, 0], expected)


@pytest.mark.parametrize(("field", "value", "most"), [("P", 48, 47), ("N", 17, 16)])
def test_more_symbols_or_images_than_there_are_are_refused(archive, field, value, most):
    with pytest.raises(ConfigError, match=f"{field} = {value} .*{most} or less.*{KATAKANA}"):
        load_bank(KATAKANA, **({"P": 3, "N": 1} | {field: value}), side=8, root=archive.parent)


WHICH = drawing_name(5, 7)
DAMAGE = {
    "missing": (lambda path: path.unlink(), "not found; put the official Omniglot archive"),
    "garbage": (lambda path: path.write_bytes(b"no archive " * 99), "damaged"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "damaged"),
    "a class less": (
        lambda path: write_omniglot(path, BLOCKS[:46]),
        "lacks 20 of the 940 drawings of Japanese_(katakana), first character47 by drawer 01",
    ),
    "a drawing less": (
        lambda path: write_omniglot(path, BLOCKS, **{WHICH: None}),
        "lacks 1 of the 940 drawings of Japanese_(katakana), first character05 by drawer 07",
    ),
    "no image": (
        lambda path: write_omniglot(path, BLOCKS, **{WHICH: b"no image"}),
        f"{WHICH}: cannot identify",
    ),
    "another size": (
        lambda path: write_omniglot(path, BLOCKS, **{WHICH: png(Image.new("1", (28, 28)))}),
        f"{WHICH}: mode 1, (28, 28); need 1, (105, 105)",
    ),
    "gray": (
        lambda path: write_omniglot(path, BLOCKS, **{WHICH: png(Image.new("L", (105, 105)))}),
        f"{WHICH}: mode L",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive_is_named_with_what_is_wrong(archive, damage):
    apply, words = DAMAGE[damage]
    apply(archive)
    with pytest.raises(DataError) as caught:
        load_bank(KATAKANA, 3, 1, 8, root=archive.parent)
    assert str(caught.value).startswith(str(archive))
    assert words in str(caught.value)


def test_an_alphabet_that_the_archive_lacks_is_named(archive):
    with pytest.raises(DataError, match="lacks 840 of the 840 drawings of Sanskrit"):
        load_bank("omniglot-sanskrit", 3, 1, 8, root=archive.parent)


# --- the real Omniglot ----------------------------------------------------------------------------


def test_real_katakana_stand_upright_and_no_drawing_both_trains_and_is_held_out(omniglot_folder):
    bank = load_bank(KATAKANA, 47, 16, 28, root=omniglot_folder)
    assert bank.heldout.shape == (47, 4, 28, 28)
    shape = dict(zip(bank.labels, bank.images.mean(1)))
    assert shape["27"][:14].sum() > 1.2 * shape["27"][14:].sum()  # FU: the bar is at the top
    assert shape["9"][:, 14:].sum() > 1.2 * shape["9"][:, :14].sum()  # KO: the stem is at the right
    assert 0.05 < bank.images.mean() < 0.15
    every = np.concatenate([bank.images, bank.heldout], 1).reshape(-1, 28 * 28)
    assert len(np.unique(every, axis=0)) == 47 * 20


@pytest.mark.parametrize(
    ("data", "P", "known"),
    [(KATAKANA, 47, "e8e12600abe47a24"), ("omniglot-sanskrit", 42, "c1e6bb10e50c518a")],
)
def test_the_official_drawings_have_one_fingerprint_on_all_machines(
    omniglot_folder, data, P, known
):
    assert load_bank(data, P, 16, 16, root=omniglot_folder).fingerprint == known
