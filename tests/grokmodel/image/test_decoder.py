import dataclasses

import numpy as np
import pytest
import torch

from grokmodel.data.bank import SymbolBank
from grokmodel.data.glyphs import glyph_bank
from grokmodel.image import decoder
from grokmodel.image.decoder import (
    ACCEPTED,
    RECIPES,
    CnnDecoder,
    DecoderError,
    MeanDecoder,
    decoder_key,
    train_decoder,
)
from tests.grokmodel.tiny import synthetic_bank


def noise_bank(P=5, seed=0):
    """Images that say nothing about their class."""
    rng = np.random.default_rng(seed)
    images = rng.random((P, 40, 8, 8), dtype=np.float32)
    return SymbolBank(images[:, :2], images[:, 20:], images[:, :20], tuple("ABCDE"[:P]))


def classes(P, K):
    return torch.arange(P).repeat_interleave(K)


# --- nearest mean ---------------------------------------------------------------------------------


def test_single_images_are_read_through_noise():
    bank = glyph_bank(31, 1, 16)
    images = torch.from_numpy(bank.images).expand(-1, 20, -1, -1).flatten(0, 1)
    noisy = images + 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(MeanDecoder(bank).classify(noisy), classes(31, 20))


def test_a_blend_is_read_as_the_class_that_has_the_largest_share():
    bank = glyph_bank(6, 64, 16)
    means = torch.from_numpy(bank.images).mean(1)
    blends = 0.6 * means + 0.4 * means.mean(0)
    assert torch.equal(MeanDecoder(bank).classify(blends), torch.arange(6))


def test_the_key_is_that_of_images_and_recipe(monkeypatch):
    bank = synthetic_bank(4, 2, 8)
    key = decoder_key(bank)
    assert decoder_key(synthetic_bank(4, 2, 8)) == key
    for name in ("pool", "heldout"):  # one pixel
        array = getattr(bank, name).copy()
        array[0, 0, 0, 0] += 1e-3
        assert decoder_key(dataclasses.replace(bank, **{name: array})) != key
    reshaped = bank.pool.reshape(2, 4, 8, 8)
    assert decoder_key(dataclasses.replace(bank, pool=reshaped)) != key
    monkeypatch.setattr(decoder, "DECODER_VERSION", decoder.DECODER_VERSION + 1)
    assert decoder_key(bank) != key


# --- training -------------------------------------------------------------------------------------


def hurried(monkeypatch, epochs):
    """Recipes that are over soon."""
    short = {k: dataclasses.replace(r, epochs=epochs) for k, r in decoder.RECIPES.items()}
    monkeypatch.setattr(decoder, "RECIPES", short)


@pytest.fixture(scope="module")
def trained(varied_glyphs):
    return train_decoder(varied_glyphs)


def test_a_decoder_of_glyphs_reads_images_that_it_never_saw(trained, varied_glyphs):
    P, K = varied_glyphs.heldout.shape[:2]
    images = torch.from_numpy(varied_glyphs.heldout).flatten(0, 1)
    found = trained.classify(images)
    one_by_one = torch.cat([trained.classify(image[None]) for image in images[::7]])
    assert torch.equal(found[::7], one_by_one)
    assert (found == classes(P, K)).float().mean() >= ACCEPTED


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        (20, rf"of 5 symbols reads 0\.\d+ of the held-out.*need {ACCEPTED}.*[A-E] read as [A-E]"),
        (0, "no held-out images"),
    ],
)
def test_a_decoder_of_meaningless_images_or_without_any_to_test_it_is_refused(
    monkeypatch, held_out, words
):
    hurried(monkeypatch, 2)
    bank = noise_bank()
    with pytest.raises(DecoderError, match=words):
        train_decoder(dataclasses.replace(bank, heldout=bank.heldout[:, :held_out]))


def test_training_is_repeatable_and_leaves_the_global_generator_alone(monkeypatch):
    hurried(monkeypatch, 2)
    monkeypatch.setattr(decoder, "ACCEPTED", 0.0)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = train_decoder(noise_bank())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = train_decoder(noise_bank())
    for p, q in zip(first.parameters(), again.parameters()):
        assert torch.equal(p, q)


def test_the_larger_recipe_comes_only_where_the_quick_one_fails(
    monkeypatch, trained, varied_glyphs
):
    assert trained.recipe == "quick"
    tried = []

    def accept(model, bank):
        tried.append(model.recipe)
        if model.recipe == "quick":
            raise DecoderError("not good enough")

    hurried(monkeypatch, 1)
    monkeypatch.setattr(decoder, "_accept", accept)
    assert train_decoder(noise_bank()).recipe == "careful"
    assert tried == ["quick", "careful"]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("side", [8, 9, 11, 16, 30, 64])
def test_a_decoder_fits_every_side(side, recipe):
    assert CnnDecoder(7, side, recipe).eval()(torch.zeros(2, side, side)).shape == (2, 7)
