"""Resized images keep their ink, standardized ones can be turned back; other data are refused."""

import numpy as np
import pytest
import torch

from grokmodel.data.bank import resize
from grokmodel.data.load import load_bank
from grokmodel.errors import ConfigError
from tests.grokmodel.tiny import synthetic_bank

# --- resize ---------------------------------------------------------------------------------------


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


# --- bank -----------------------------------------------------------------------------------------


def test_standardized_images_are_centred_per_pixel_with_unit_variance():
    seen = synthetic_bank(7, 3, 8).standardized
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen.mean((0, 1)), 0, atol=1e-5)
    assert seen.std() == pytest.approx(1, abs=1e-5)


def test_ink_undoes_standardized():
    bank = synthetic_bank(7, 3, 8)
    back = bank.ink(torch.from_numpy(bank.standardized))
    np.testing.assert_allclose(back.numpy(), bank.images, atol=1e-6)


# --- data that do not exist -----------------------------------------------------------------------


@pytest.mark.parametrize("data", ["glyphs", "kuzushiji49", "emnist-letters"])
def test_data_without_a_distinct_alphabet_say_so(data, tmp_path):
    with pytest.raises(ConfigError, match=r"alphabet = 'distinct'.*emnist and emnist-balanced"):
        load_bank(data, 3, 1, 28, "distinct", root=tmp_path)


def test_data_of_an_unknown_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"mnist-9.*glyphs, emnist.*kuzushiji49"):
        load_bank("mnist-9", 3, 1, 28, root=tmp_path)
