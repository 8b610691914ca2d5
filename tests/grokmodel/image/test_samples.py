"""Samples show the pairs that they say, the same ones at every step, and survive a broken model."""

import numpy as np
import torch

from grokmodel.data.load import load_bank
from grokmodel.data.pairs import split_pairs
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.pack import Member, Pack, bank_key
from grokmodel.image.samples import HELD_OUT, STRICT, TRAIN, TRAINED, draw_samples
from tests.grokmodel.analysis.handmade import always
from tests.grokmodel.tiny import CPU
from tests.service.tiny import tiny_config


def samples_of(member):
    bank = load_bank("glyphs", member.config.P, 1, 8)
    banks = {bank_key(member.config): bank}
    decoders = {key: MeanDecoder(bank) for key in banks}
    (samples,) = draw_samples(Pack([member], banks, CPU), decoders, banks)
    return samples, bank


def ink(image):
    return np.frombuffer(image, np.uint8).reshape(8, 8) / 255


def test_a_sample_is_of_a_pair_of_its_kind_and_shows_its_images():
    member = Member.start(tiny_config())
    samples, bank = samples_of(member)
    split = split_pairs(member.config)
    kinds = {STRICT: split.val[split.strict], TRAIN: split.train}
    assert [s.sample for s in samples] == list(range(len(samples)))
    assert sum(s.pairs == STRICT for s in samples) == min(HELD_OUT, split.strict.sum())
    assert sum(s.pairs == TRAIN for s in samples) == TRAINED
    for s in samples:
        assert s.c == (s.a + s.b) % member.config.P
        if s.pairs in kinds:
            assert [s.a, s.b] in kinds[s.pairs].tolist()
        for symbol, image in ((s.a, s.image_a), (s.b, s.image_b), (s.c, s.image_c)):
            assert np.abs(ink(image) - bank.images[symbol, 0]).max() < 0.003


def test_what_is_drawn_is_read_and_right_for_pairs_of_that_sum_alone():
    """With no weight but the last bias, a model draws one image whatever it is shown."""
    config = tiny_config()
    bank = load_bank("glyphs", config.P, 1, 8)
    samples, _ = samples_of(always(config, bank.standardized[3, 0]))
    for s in samples:
        assert s.sampled == 3
        assert np.abs(ink(s.image) - bank.images[3, 0]).max() < 0.003


def test_pairs_images_and_noise_are_those_of_every_step():
    member = Member.start(tiny_config())
    before, _ = samples_of(member)
    member.state.step += 500
    after, _ = samples_of(member)
    assert after == before


def test_a_diverged_model_draws_nothing_that_could_be_read():
    member = Member.start(tiny_config())
    member.state.average.fill_(float("nan"))
    samples, _ = samples_of(member)
    assert {s.sampled for s in samples} == {None}
    assert {len(s.image) for s in samples} == {64}
    assert torch.isnan(member.state.average).all()
