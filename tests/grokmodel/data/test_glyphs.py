import tracemalloc

import numpy as np
import pytest

from grokmodel.data import glyphs
from grokmodel.data.glyphs import ALPHABET, glyph_bank
from grokmodel.errors import ConfigError


def distinct(images):
    return len({image.tobytes() for image in images.reshape(-1, *images.shape[-2:])})


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


@pytest.mark.parametrize(("P", "N"), [(6, 1), (6, 3), (4, 4)])
def test_a_smaller_bank_is_the_beginning_of_a_larger_one_drawn_anew(varied_glyphs, P, N):
    glyphs._images_of.cache_clear()
    np.testing.assert_array_equal(glyph_bank(P, N, 12).images, varied_glyphs.images[:P, :N])
    np.testing.assert_array_equal(varied_glyphs.pool[:P, :N], varied_glyphs.images[:P, :N])


def test_all_62_symbols_look_different():
    bank = glyph_bank(62, 1, 16)
    assert bank.images.shape == (62, 1, 16, 16)
    assert bank.labels == tuple(ALPHABET)
    assert distinct(bank.images) == len(set(ALPHABET)) == 62
    assert bank.images.dtype == np.float32
    assert (bank.images.min(), bank.images.max() <= 1) == (0, True)
    assert (bank.images.max((2, 3)) > 0.5).all()


@pytest.mark.parametrize(("P", "N", "field"), [(63, 1, "P"), (3, glyphs.FIRST_HELD_OUT, "N")])
def test_there_is_no_63rd_symbol_and_no_bank_reaches_the_held_out_images(P, N, field):
    with pytest.raises(ConfigError, match=r"62 or less|less than 100000") as caught:
        glyph_bank(P, N, 16)
    assert caught.value.field == field


def test_no_image_both_trains_a_decoder_and_is_held_out(varied_glyphs):
    pool, held_out = varied_glyphs.pool, varied_glyphs.heldout
    assert held_out.shape[1] > 0
    both = np.concatenate([pool, held_out], axis=1)
    assert distinct(both) == distinct(pool) + distinct(held_out)
    assert distinct(varied_glyphs.images) == 6 * 4
