import dataclasses
import math

import numpy as np
import pytest
import torch

from grokmodel.data.pairs import result_table
from grokmodel.image.evaluate import accuracy, evaluate
from grokmodel.image.model import Layout
from grokmodel.image.pack import Member, Pack, bank_key
from tests.grokmodel.analysis.handmade import (
    always,
    lookup_config,
    lookup_member,
    rule_table,
    without_strict_pairs,
)
from tests.grokmodel.tiny import (
    CPU,
    banks_for,
    decoders_for,
    rounds,
    synthetic_bank,
    tiny,
)


def always_symbol(config, symbol, number=0):
    bank = synthetic_bank(config.P, config.N, config.side)
    return always(config, bank.standardized[symbol, number])


def accuracies(*members, steps=3):
    banks = banks_for(*(m.config for m in members))
    return accuracy(Pack(members, banks, CPU), decoders_for(banks), banks, steps)


def share_with_result(config, pairs, symbol):
    results = result_table(config.op, config.P)[pairs[:, 0], pairs[:, 1]]
    return float(np.mean(results == symbol)) if len(pairs) else math.nan


@pytest.mark.parametrize("steps", [1, 4])
def test_always_the_same_symbol_is_right_where_that_is_the_result(steps):
    """Of the first `eval_pairs`."""
    configs = [
        tiny(eval_pairs=999),
        tiny(P=11, op="mul", seed=2, eval_pairs=999),
        tiny(N=3, op="div", seed=3, train_fraction=0.5, eval_pairs=999),
        tiny(P=11, eval_pairs=25),
    ]
    symbols = (2, 0, 6, 3)
    members = [always_symbol(c, symbol) for c, symbol in zip(configs, symbols)]
    splits = Pack(members, banks_for(*configs), CPU).splits
    for config, symbol, split, found in zip(
        configs, symbols, splits, accuracies(*members, steps=steps), strict=True
    ):
        n = config.eval_pairs
        train, val, strict = split.train[:n], split.val[:n], split.val[:n][split.strict[:n]]
        shares = [share_with_result(config, pairs, symbol) for pairs in (train, val, strict)]
        assert [found.train, found.val, found.strict] == pytest.approx(shares)
        assert found.train > 0


def test_what_is_not_finite_is_wrong():
    """A decoder calls it its first class, which is right for some pairs."""
    config = tiny(eval_pairs=999)
    zero, undefined = always_symbol(config, 0), always_symbol(config, 0)
    undefined.state.average.fill_(math.nan)
    known, found = accuracies(zero, undefined)
    assert known.val > 0
    assert (found.train, found.val, found.strict) == (0, 0, 0)


def test_an_image_with_a_pixel_that_is_not_finite_is_wrong():
    config = tiny(eval_pairs=999)
    zero, spotted = always_symbol(config, 0), always_symbol(config, 0)
    bias = Layout(config.shape).views(spotted.state.average)["final.b"]
    bias[0, 0] = math.inf
    known, found = accuracies(zero, spotted, steps=1)
    assert known.val > 0
    assert (found.train, found.val, found.strict) == (0, 0, 0)


def blend(config, symbol, share):
    """Of all images of a symbol, a share, the rest of all images: what is expected by someone who
    is not quite sure."""
    images = synthetic_bank(config.P, config.N, config.side).standardized
    return share * images[symbol].mean(0) + (1 - share) * images.mean((0, 1))


@pytest.mark.parametrize("steps", [1, 2])
def test_a_blend_is_read_by_the_nearest_mean_after_one_step_only(steps):
    """Of two members of one bank each is read its own way. The decoder knows images in ink units
    and no blends."""
    configs = [tiny(N=3, eval_pairs=999, decoder_1step=by) for by in ("mean", "decoder")]
    banks = banks_for(*configs)
    pack = Pack([always(c, blend(c, 2, 0.4)) for c in configs], banks, CPU)
    exact = {key: ExactDecoder(bank) for key, bank in banks.items()}
    by_mean, by_decoder = accuracy(pack, exact, banks, steps)
    share = share_with_result(configs[0], pack.splits[0].train, 2)
    assert by_mean.train == pytest.approx(share if steps == 1 else 0)
    assert (by_mean.val > 0) == (by_mean.heldout > 0) == (steps == 1)
    assert (by_decoder.train, by_decoder.val, by_decoder.heldout) == (0, 0, 0)


class ExactDecoder:
    """Names an image only if it is a template, pixel for pixel in ink units."""

    def __init__(self, bank):
        self.templates = torch.from_numpy(bank.images[:, 0]).flatten(1)

    def classify(self, images):
        nearest = torch.cdist(images.flatten(1), self.templates).min(1)
        return torch.where(nearest.values < 0.01, nearest.indices, -1)


def test_without_strict_pairs_strict_accuracy_is_nan():
    config = without_strict_pairs(tiny, P=5, train_fraction=0.95)
    (found,) = accuracies(always_symbol(config, 1))
    assert math.isnan(found.strict)
    assert not math.isnan(found.val)


@pytest.mark.parametrize(
    ("held_out", "expected"),
    [
        (lambda images: images, 1.0),
        # a symbol shown as its successor: sums are off by two, which a bank's images never tell
        (lambda images: np.roll(images, -1, axis=0), 0.0),
        (lambda images: images[:, :0], math.nan),
    ],
)
def test_a_perfect_adder_of_two_images_per_symbol_adds_held_out_images_as_they_are(
    held_out, expected
):
    config = lookup_config(N=2, eval_pairs=999)
    bank = synthetic_bank(config.P, 2, config.side)
    member = lookup_member(config, bank, rule_table(config))
    banks = {bank_key(config): dataclasses.replace(bank, heldout=held_out(bank.images))}
    (found,) = accuracy(Pack([member], banks, CPU), decoders_for(banks), banks, 2)
    assert (found.train, found.val, found.strict) == (1, 1, 1)
    heldout = (found.heldout, found.strict_heldout)
    assert heldout == pytest.approx((expected, expected), nan_ok=True)


def test_a_pack_mate_with_held_out_images_lends_none():
    """Nor copies, which only varied symbols have."""
    configs = [lookup_config(N=2), lookup_config(N=2, data="kuzushiji49"), lookup_config()]
    varied, single = synthetic_bank(7, 2, 8), synthetic_bank(7, 1, 8)
    without = dataclasses.replace(varied, heldout=varied.heldout[:, :0])
    banks = dict(zip(map(bank_key, configs), (varied, without, single)))
    members = [lookup_member(c, banks[bank_key(c)], rule_table(c)) for c in configs]
    found = accuracy(Pack(members, banks, CPU), decoders_for(banks), banks, 2)
    assert [math.isnan(a.heldout) for a in found] == [False, True, True]
    assert [math.isnan(a.strict_heldout) for a in found] == [False, True, True]
    assert [math.isnan(a.copies) for a in found] == [False, False, True]


def test_a_model_that_was_trained_names_every_training_pair():
    config = tiny(
        P=5, train_fraction=0.7, steps=300, eval_every=100, lr=5e-3, weight_decay=0.1, ema=0.95,
        t_mean=2.0, t_std=1.0,
    )  # fmt: skip
    member = Member.start(config)
    for _ in rounds([member]):
        pass
    assert member.curve[0].train_acc < 0.5
    assert member.curve[-1].train_acc == 1.0


@pytest.mark.parametrize(
    ("share", "is_copy"), [(0.0, 1), (0.24, 1), (0.26, 0), (0.5, 0), (0.76, 1), (1.0, 1)]
)
def test_near_means_a_third_of_the_way_to_the_second_nearest(share, is_copy):
    """Between two training images of a symbol."""
    first, second = synthetic_bank(7, 2, 8).standardized[3]
    (found,) = accuracies(always(tiny(N=2), first + share * (second - first)))
    assert found.copies == is_copy


def test_copies_are_looked_for_among_the_images_of_the_member_itself():
    """Both predict an image of the second member's bank; the first has another bank."""
    foreign = synthetic_bank(9, 2, 8).standardized[8, 1]
    found = accuracies(always(tiny(N=2), foreign), always(tiny(P=9, N=2), foreign))
    assert [a.copies for a in found] == [0.0, 1.0]


def test_an_evaluation_names_step_loss_and_norm_of_each_member_and_changes_nothing():
    """Accuracies are of the averaged weights, not of the raw ones."""
    members = [Member.start(tiny(N=2, seed=k)) for k in (1, 2)]
    members[1].state.step += 7
    banks = banks_for(members[0].config)
    pack = Pack(members, banks, CPU)
    before = {name: rows.clone() for name, rows in vars(pack.state).items()}
    losses = torch.tensor([0.25, 0.5])
    found = evaluate(pack, decoders_for(banks), banks, losses)
    assert evaluate(pack, decoders_for(banks), banks, losses) == found
    assert all(torch.equal(rows, before[name]) for name, rows in vars(pack.state).items())
    assert [e.step for e in found] == [0, 7]
    assert [e.loss for e in found] == [0.25, 0.5]
    norms = [float(m.state.weights.norm()) for m in members]
    assert [e.weight_norm for e in found] == pytest.approx(norms)
    pack.state.weights.mul_(-2)
    other = evaluate(pack, decoders_for(banks), banks, losses)
    assert [e.train_acc for e in other] == [e.train_acc for e in found]
