"""Resized images keep their ink, standardized ones can be turned back; other data are refused."""

import numpy as np
import pytest
import torch

from grokmodel.data.bank import resize
from grokmodel.data.load import load_bank
from grokmodel.errors import ConfigError
from tests.grokmodel.tiny import synthetic_bank

# --- resize ---------------------------------------------------------------------------------------


IMAGES = np.random.default_rng(0).random((2, 28, 28))


@pytest.mark.parametrize("side", [8, 9, 14, 16, 20, 27, 28])
def test_shrinking_keeps_the_mean(side):
    assert resize(IMAGES, side).shape == (2, side, side)
    np.testing.assert_allclose(resize(IMAGES, side).mean((1, 2)), IMAGES.mean((1, 2)))
    np.testing.assert_allclose(resize(np.full((28, 28), 0.7), side), 0.7)


def test_a_pixel_that_straddles_two_is_shared_by_overlap():
    image = np.zeros((3, 3))
    image[1, 0] = 1.0
    np.testing.assert_allclose(resize(image, 2), [[2 / 9, 0], [2 / 9, 0]])


@pytest.mark.parametrize("margin", [0, 2])
def test_growing_pads_with_black_around_the_middle(margin):
    black = np.pad(IMAGES, [(0, 0), (margin, margin), (margin, margin)])
    np.testing.assert_array_equal(resize(IMAGES, 28 + 2 * margin), black)


# --- bank -----------------------------------------------------------------------------------------


def test_standardized_images_are_centered_per_pixel_with_unit_variance_and_ink_undoes_it():
    bank = synthetic_bank(7, 3, 8)
    seen = bank.standardized
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen.mean((0, 1)), 0, atol=1e-5)
    assert seen.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(bank.ink(torch.from_numpy(seen)).numpy(), bank.images, atol=1e-6)


def test_images_that_never_train_are_seen_by_the_mean_and_scale_of_those_that_do():
    bank = synthetic_bank(5, 3, 8, held_out=2)
    expected = (bank.heldout - bank.images.mean((0, 1))) / (bank.images - bank.mean).std()
    np.testing.assert_allclose(bank.standardized_heldout, expected, rtol=1e-5)


# --- data that do not exist -----------------------------------------------------------------------


@pytest.mark.parametrize("data", ["glyphs", "kuzushiji49", "emnist-letters"])
def test_data_without_a_distinct_alphabet_say_so(data, tmp_path):
    with pytest.raises(ConfigError, match=r"alphabet = 'distinct'.*emnist and emnist-balanced"):
        load_bank(data, 3, 1, 28, "distinct", root=tmp_path)


def test_data_of_an_unknown_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"mnist-9.*glyphs, emnist.*kuzushiji49"):
        load_bank("mnist-9", 3, 1, 28, root=tmp_path)
