import numpy as np
import pytest

from grokmodel.rules.config import GROUP_SIZES, PIXELS
from grokmodel.rules.images import (
    copies,
    first_of_each,
    patterns,
    seen_groups,
    signs,
    valid_groups,
    valid_images,
)


def some(group_size, count=50, seed=0):
    return valid_images(group_size, count, np.random.default_rng(seed))


@pytest.mark.parametrize("k", GROUP_SIZES)
def test_images_are_valid_and_different_and_one_more_flip_breaks_one_group(k):
    images = some(k)
    assert images.shape == (50, PIXELS)
    assert len(np.unique(images, axis=0)) == 50
    assert valid_groups(images, k).all()
    for pixel in (0, 17, 35):
        flipped = images.copy()
        flipped[:, pixel] ^= 1
        broken = ~valid_groups(flipped, k)
        assert broken[:, pixel // k].all()
        assert broken.sum() == 50


def test_valid_images_are_drawn_uniformly():
    images = some(4, 4000)
    assert abs(images.mean(0) - 0.5).max() < 4 * 0.5 / np.sqrt(4000)
    # every even pattern of a group of four is as likely as any other
    codes = images[:, :4] @ [1, 2, 4, 8]
    found = np.bincount(codes, minlength=16)
    assert (found > 0).sum() == 8
    assert abs(found[found > 0] / 4000 - 1 / 8).max() < 4 * np.sqrt(1 / 8 * 7 / 8 / 4000)


def test_a_random_image_is_valid_by_chance_as_often_as_said():
    random = np.random.default_rng(1).integers(2, size=(20_000, PIXELS), dtype=np.uint8)
    for k in (6, 12, 18):
        groups = valid_groups(random, k)
        assert groups.mean() == pytest.approx(0.5, abs=0.01)
        chance = 0.5 ** (PIXELS // k)
        assert groups.all(1).mean() == pytest.approx(chance, abs=4 * np.sqrt(chance / 20_000))


def test_all_valid_images_can_be_had():
    """Of eighteen pairs there are 2^18: so many that some are drawn twice on the way."""
    assert len(some(2, 65_536 + 256)) == 65_792


def test_copies_and_repeats_are_found_by_every_pixel():
    train, other = some(3)[:30], some(3)[30:]
    near = train.copy()
    near[np.arange(30), np.arange(30)] ^= 1
    mixed = np.concatenate([train[:5], other, near, train[:2]])
    assert copies(mixed, train).tolist() == [True] * 5 + [False] * 50 + [True] * 2
    assert first_of_each(mixed).tolist() == [True] * 55 + [False] * 2


def test_groups_are_seen_at_their_own_place_only():
    train = np.zeros((2, PIXELS), dtype=np.uint8)
    train[1, :2] = 1  # the first pair is seen as 00 and 11, all others as 00
    image = np.zeros((1, PIXELS), dtype=np.uint8)
    image[0, :4] = 1
    assert seen_groups(image, train, 2)[0].tolist() == [True, False] + [True] * 16
    assert patterns(train, 2) == pytest.approx((2 + 17) / 18)


def test_signs():
    assert signs(np.array([[0, 1]], dtype=np.uint8)).tolist() == [[-1.0, 1.0]]
