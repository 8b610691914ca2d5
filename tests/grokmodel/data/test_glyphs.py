import tracemalloc

import numpy as np
import pytest

from grokmodel.data import glyphs
from grokmodel.data.glyphs import ALPHABET, glyph_bank
from grokmodel.errors import ConfigError


def distinct(images):
    return len({image.tobytes() for image in images.reshape(-1, *images.shape[-2:])})


def test_drawing_twice_gives_the_same_images():
    first = glyph_bank(10, 1, 16).images
    glyphs._images_of.cache_clear()
    np.testing.assert_array_equal(glyph_bank(10, 1, 16).images, first)


def test_little_more_than_the_images_of_a_bank_is_remembered():
    glyph_bank(3, 1, 12)  # fonts stay too
    glyphs._images_of.cache_clear()
    tracemalloc.start()
    bank = glyph_bank(3, 2, 12)
    size = bank.pool.nbytes + bank.heldout.nbytes
    del bank
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size <= kept < 1.5 * size


def test_what_is_remembered_has_an_end():
    for side in (8, 9, 10):
        glyph_bank(62, 1, side)
    assert glyphs._images_of.cache_info().currsize == glyphs.KEPT


def test_a_bank_of_fewer_images_is_the_beginning_of_a_larger_one(varied_glyphs):
    for N in (1, 2, 3):
        np.testing.assert_array_equal(glyph_bank(6, N, 12).images, varied_glyphs.images[:, :N])


def test_a_bank_of_fewer_symbols_is_the_beginning_of_a_larger_one():
    np.testing.assert_array_equal(glyph_bank(5, 1, 16).images, glyph_bank(20, 1, 16).images[:5])


def test_the_alphabet_has_62_symbols_without_repetition():
    assert len(ALPHABET) == len(set(ALPHABET)) == 62


def test_all_62_symbols_look_different():
    bank = glyph_bank(62, 1, 16)
    assert bank.images.shape == (62, 1, 16, 16)
    assert bank.labels == tuple(ALPHABET)
    assert distinct(bank.images) == 62


def test_there_is_no_63rd_symbol():
    with pytest.raises(ConfigError, match="62 or less") as caught:
        glyph_bank(63, 1, 16)
    assert (caught.value.field, caught.value.value) == ("P", 63)


def test_a_training_bank_cannot_reach_the_held_out_images():
    with pytest.raises(ConfigError) as caught:
        glyph_bank(3, glyphs.FIRST_HELD_OUT, 16)
    assert caught.value.field == "N"


def test_images_are_ink_on_black():
    images = glyph_bank(62, 1, 16).images
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() <= 1
    assert (images.max((2, 3)) > 0.5).all()


def test_a_bank_is_the_beginning_of_its_pool(varied_glyphs):
    np.testing.assert_array_equal(varied_glyphs.pool[:, :4], varied_glyphs.images)


def test_no_image_both_trains_a_decoder_and_is_held_out(varied_glyphs):
    pool, held_out = varied_glyphs.pool, varied_glyphs.heldout
    assert held_out.shape[1] > 0
    both = np.concatenate([pool, held_out], axis=1)
    assert distinct(both) == distinct(pool) + distinct(held_out)


def test_images_of_one_symbol_differ(varied_glyphs):
    assert distinct(varied_glyphs.images) == 6 * 4
