"""A DiT is the member of the pack, for every config, noise level and sample."""

import pytest
import torch
from hypothesis import given, settings

from grokmodel.core import noise
from grokmodel.errors import ConfigError
from grokmodel.image.dit import DiT, ModelError
from grokmodel.image.evaluate import sample_images
from grokmodel.image.model import Layout, unpatchify
from grokmodel.image.pack import Member, Pack, bank_key
from tests.grokmodel.image.dit.variants import Pair, any_variant, assert_close, each_choice
from tests.grokmodel.tiny import CPU, banks_for, tiny


@pytest.mark.parametrize("changes", list(each_choice()), ids=str)
def test_every_choice_predicts_what_the_pack_predicts(changes):
    pair = Pair(changes)
    assert_close(pair.by_dit(), pair.by_pack())


@settings(max_examples=60)
@given(any_variant())
def test_every_variant_predicts_what_the_pack_predicts(changes):
    pair = Pair(changes)
    assert_close(pair.by_dit(), pair.by_pack())


@pytest.mark.parametrize("changes", [{}, {"zero_output": True, "time_embedding": "mlp"}])
def test_a_new_one_is_the_trial_before_its_first_step(changes):
    config = tiny(**changes)
    start = Layout(config.shape).init(config.seed, config.init_scale, config.zero_output)
    fresh, loaded = (x.state_dict() for x in (DiT(config), DiT(config).load_row(start)))
    assert fresh.keys() == loaded.keys()
    assert all(torch.equal(fresh[name], loaded[name]) for name in fresh)
    assert sum(p.numel() for p in DiT(config).parameters()) == Layout(config.shape).n


@pytest.mark.parametrize("changes", [{"patch": 4}, {"N": 3}, {"patch": 2, "input_gate": False}])
def test_samples_are_those_of_the_pack_from_the_same_noise(changes):
    config = tiny(**changes)
    banks, member = banks_for(config), Member.start(config)
    pack = Pack([member], banks, CPU)
    pair_MQ2 = torch.tensor([[[0, 1], [3, 5], [6, 6]]])
    expected = sample_images(pack, pair_MQ2, noise.EVAL_VAL, 4)[0]
    image_MQ2 = pack.draw_images(pair_MQ2, noise.EVAL_IMAGE, member.state.step)
    a, b = unpatchify(pack.bank.images[image_MQ2[0]], config.patch).unbind(1)
    eps = noise.normal(pack.seed_M, noise.EVAL_VAL, member.state.step, 3, config.side**2)
    start = unpatchify(eps[0].unflatten(-1, (-1, config.patch**2)), config.patch)
    dit = DiT.from_member(member, banks[bank_key(config)])
    assert_close(dit.sample(a, b, 4, noise=start), expected)
    ink = banks[bank_key(config)].ink(expected)
    assert_close(dit.pixels(expected), ink.clamp(0, 1))


def with_symbols(**changes):
    config = tiny(**changes)
    return DiT(config, banks_for(config)[bank_key(config)])


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


def test_samples_of_symbols_are_those_of_their_images():
    dit = with_symbols()
    start = torch.randn(5, 8, 8, generator=generator())
    found = dit.sample(a=3, b=5, n=5, noise=start)
    images = dit.symbols.standardized(dit.symbols.images[:, 0])
    a, b = (images[k].expand(5, 8, 8) for k in (3, 5))
    assert torch.equal(found, dit.sample(a, b, dit.config.final_sample_steps, noise=start))
    pixels = dit.pixels(found)
    assert pixels.shape == (5, 8, 8)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_images_of_a_symbol_are_drawn_from_all_it_has():
    dit = with_symbols(N=3)
    shown = dit.symbols.show(2, 60, generator())
    known = dit.symbols.standardized(dit.symbols.images[2])
    assert {int((known - image).abs().sum((1, 2)).argmin()) for image in shown} == {0, 1, 2}
    same = [dit.sample(1, 2, 2, n=4, generator=generator()) for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], dit.sample(1, 2, 2, n=4, generator=generator(4)))


def test_what_is_not_finite_is_drawn_black():
    dit = with_symbols()
    image = torch.full((8, 8), torch.nan)
    assert torch.equal(dit.pixels(image), torch.zeros(8, 8))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"a": 7, "b": 0}, "symbol = 7 is not allowed: it must be from 0 to 6"),
        ({"a": 0, "b": -1}, "symbol = -1"),
        ({"a": 0, "b": 0, "steps": 0}, "steps = 0 is not allowed: it must be 1 or more"),
        ({"a": 0, "b": 0, "n": 0}, "n = 0"),
    ],
)
def test_bad_numbers_are_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        with_symbols().sample(**words)


def test_without_images_a_symbol_cannot_be_shown_nor_pixels_be_scaled():
    dit = DiT(tiny())
    for ask in (lambda: dit.sample(1, 2), lambda: dit.pixels(torch.zeros(8, 8))):
        with pytest.raises(ModelError, match="no images of symbols"):
            ask()


def test_another_shape_is_named():
    image = torch.zeros(2, 8, 8)
    with pytest.raises(ValueError, match=r"\(2, 8, 8\), \(2, 8, 8\), \(2, 9, 9\), \(2,\); need"):
        DiT(tiny())(image, image, torch.zeros(2, 9, 9), torch.zeros(2))
