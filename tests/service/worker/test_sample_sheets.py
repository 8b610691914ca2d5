"""Pictures of samples show the pairs that they say, and survive a broken model."""

import io

import numpy as np
import torch
from PIL import Image

from grokmodel.data.load import load_bank
from grokmodel.data.pairs import split_pairs
from grokmodel.image.pack import Member, Pack, bank_key
from service.worker.sample_sheets import ROW_NAMES, SAMPLES, sample_sheets, sheet_png
from tests.grokmodel.analysis.handmade import always
from tests.service.tiny import tiny_config


def picture_of(member):
    banks = {bank_key(member.config): load_bank("glyphs", member.config.P, 1, 8)}
    (sheet,) = sample_sheets(Pack([member], banks, torch.device("cpu")), banks)
    return np.asarray(Image.open(io.BytesIO(sheet_png(sheet)))), banks


def tile(pixels, row, column, side=8, zoom=4, margin=72):
    step = (side + 2) * zoom
    top, left = row * step + zoom, margin + column * step + zoom
    return pixels[top : top + side * zoom : zoom, left : left + side * zoom : zoom] / 255


def strict_first(split):
    return np.concatenate([split.val[split.strict], split.val[~split.strict]])


def test_rows_show_operands_and_the_wanted_result():
    member = Member.start(tiny_config())
    pixels, banks = picture_of(member)
    (bank,) = banks.values()
    for column, (a, b) in enumerate(strict_first(split_pairs(member.config))[:SAMPLES]):
        for row, symbol in ((0, a), (1, b), (4, (a + b) % member.config.P)):
            assert np.abs(tile(pixels, row, column) - bank.images[symbol, 0]).max() < 0.01
    assert len(ROW_NAMES) == 5


def test_a_member_that_expects_one_image_draws_it_in_one_step_and_in_more():
    """With no weight but the last bias, every step expects the same; the last one ends there."""
    config = tiny_config()
    bank = load_bank("glyphs", config.P, 1, 8)
    pixels, _ = picture_of(always(config, bank.standardized[3, 0]))
    for row in (2, 3):
        assert np.abs(tile(pixels, row, 0) - bank.images[3, 0]).max() < 0.01


def test_a_diverged_model_still_has_a_picture():
    member = Member.start(tiny_config())
    member.state.average.fill_(float("nan"))
    pixels, _ = picture_of(member)
    assert np.isfinite(pixels).all()
