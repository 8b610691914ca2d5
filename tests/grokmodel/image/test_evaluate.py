import dataclasses
import math

import numpy as np
import pytest
import torch

from grokmodel.data.pairs import result_table
from grokmodel.image.evaluate import accuracy, evaluate
from grokmodel.image.pack import Member, Pack, bank_key
from tests.grokmodel.analysis.handmade import always, lookup_config, lookup_member, rule_table
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


def same(x, y):
    return x == pytest.approx(y, nan_ok=True)


# --- accuracies that are known --------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4])
def test_always_the_same_symbol_is_right_where_that_is_the_result(steps):
    configs = [
        tiny(eval_pairs=999),
        tiny(P=11, op="mul", seed=2, eval_pairs=999),
        tiny(N=3, op="div", seed=3, train_fraction=0.5, eval_pairs=999),
    ]
    members = [always_symbol(c, symbol) for c, symbol in zip(configs, (2, 0, 6))]
    pack = Pack(members, banks_for(*configs), CPU)
    for config, symbol, split, found in zip(
        configs, (2, 0, 6), pack.splits, accuracies(*members, steps=steps)
    ):
        assert found.train == pytest.approx(share_with_result(config, split.train, symbol))
        assert found.val == pytest.approx(share_with_result(config, split.val, symbol))
        strict = share_with_result(config, split.val[split.strict], symbol)
        assert found.strict == pytest.approx(strict)
        assert found.train > 0


def test_what_is_not_finite_is_wrong():
    """A decoder calls it its first class, which is right for some pairs."""
    config = tiny(eval_pairs=999)
    zero, undefined = always_symbol(config, 0), always_symbol(config, 0)
    undefined.state.average.fill_(math.nan)
    known, found = accuracies(zero, undefined)
    assert known.val > 0
    assert (found.train, found.val, found.strict) == (0, 0, 0)


def blend(config, symbol, share):
    """Of all images of a symbol, a share, the rest of all images: what is expected by someone who
    is not quite sure."""
    images = synthetic_bank(config.P, config.N, config.side).standardized
    return share * images[symbol].mean(0) + (1 - share) * images.mean((0, 1))


@pytest.mark.parametrize(("changes", "steps", "is_read"), [
    ({}, 1, True),
    ({"decoder_1step": "decoder"}, 1, False),
    ({}, 2, False),
])  # fmt: skip
def test_a_blend_is_read_by_the_nearest_mean_after_one_step_only(changes, steps, is_read):
    config = tiny(N=3, eval_pairs=999, **changes)
    banks = banks_for(config)
    pack = Pack([always(config, blend(config, 2, 0.4))], banks, CPU)
    exact = {key: ExactDecoder(bank) for key, bank in banks.items()}
    (found,) = accuracy(pack, exact, banks, steps)
    share = share_with_result(config, pack.splits[0].train, 2)
    assert share > 0
    assert found.train == pytest.approx(share if is_read else 0)
    assert (found.val > 0) == (found.heldout > 0) == is_read


def test_members_of_one_bank_are_read_each_its_own_way():
    configs = [tiny(N=3), tiny(N=3, decoder_1step="decoder")]
    banks = banks_for(*configs)
    pack = Pack([always(c, blend(c, 2, 0.4)) for c in configs], banks, CPU)
    exact = {key: ExactDecoder(bank) for key, bank in banks.items()}
    by_mean, by_decoder = accuracy(pack, exact, banks, 1)
    assert by_mean.train > 0 == by_decoder.train


def test_all_symbols_together_are_right_once():
    members = [always_symbol(tiny(), symbol) for symbol in range(7)]
    for field in ("train", "val", "strict"):
        assert sum(getattr(a, field) for a in accuracies(*members)) == pytest.approx(1)


class ExactDecoder:
    """Names an image only if it is a template, pixel for pixel in ink units."""

    def __init__(self, bank):
        self.templates = torch.from_numpy(bank.images[:, 0]).flatten(1)

    def classify(self, images):
        nearest = torch.cdist(images.flatten(1), self.templates).min(1)
        return torch.where(nearest.values < 0.01, nearest.indices, -1)


def test_a_decoder_is_given_images_in_ink_units():
    member = always_symbol(tiny(), 2)
    banks = banks_for(member.config)
    decoders = {key: ExactDecoder(bank) for key, bank in banks.items()}
    pack = Pack([member], banks, CPU)
    (found,) = accuracy(pack, decoders, banks, 2)
    expected = share_with_result(member.config, pack.splits[0].train, 2)
    assert found.train == pytest.approx(expected)


def test_without_strict_pairs_strict_accuracy_is_nan():
    config = tiny(P=5, train_fraction=0.95, seed=0)
    while (pack := Pack([always_symbol(config, 1)], banks_for(config), CPU)).splits[0].strict.any():
        config = tiny(P=5, train_fraction=0.95, seed=config.seed + 1)
    (found,) = accuracies(*pack.members)
    assert math.isnan(found.strict)
    assert not math.isnan(found.val)


def adder_with_held_out(held_out):
    """Accuracies of a perfect adder of two images per symbol whose held-out images are these."""
    config = lookup_config(N=2, eval_pairs=999)
    bank = synthetic_bank(config.P, 2, config.side)
    member = lookup_member(config, bank, rule_table(config))
    banks = {bank_key(config): dataclasses.replace(bank, heldout=held_out(bank.images))}
    (found,) = accuracy(Pack([member], banks, CPU), decoders_for(banks), banks, 2)
    return found


def test_held_out_images_of_the_same_symbols_are_added_as_well():
    found = adder_with_held_out(lambda images: images)
    assert (found.val, found.heldout, found.strict_heldout) == (1, 1, 1)


def test_operands_really_are_shown_by_held_out_images():
    """A symbol shown as its successor: sums are off by two, which a bank's images never tell."""
    found = adder_with_held_out(lambda images: np.roll(images, -1, axis=0))
    assert (found.train, found.val, found.strict) == (1, 1, 1)
    assert (found.heldout, found.strict_heldout) == (0, 0)


def test_without_held_out_images_their_accuracy_is_nan():
    found = adder_with_held_out(lambda images: images[:, :0])
    assert found.val == 1
    assert math.isnan(found.heldout)
    assert math.isnan(found.strict_heldout)


def test_a_pack_mate_with_held_out_images_lends_none():
    configs = [lookup_config(N=2), lookup_config(N=2, data="kuzushiji49")]
    bank = synthetic_bank(7, 2, 8)
    without = dataclasses.replace(bank, heldout=bank.heldout[:, :0])
    banks = dict(zip(map(bank_key, configs), (bank, without)))
    members = [lookup_member(c, banks[bank_key(c)], rule_table(c)) for c in configs]
    has, lacks = accuracy(Pack(members, banks, CPU), decoders_for(banks), banks, 2)
    assert has.heldout >= 0
    assert math.isnan(lacks.heldout)
    assert math.isnan(lacks.strict_heldout)


def test_held_out_images_are_asked_of_varied_symbols_only():
    """Also beside a pack-mate that has them."""
    single, varied = accuracies(*(Member.start(tiny(N=N, eval_pairs=999)) for N in (1, 3)))
    assert math.isnan(single.heldout)
    assert varied.heldout >= 0


def test_with_few_evaluation_pairs_the_first_ones_are_taken():
    config = tiny(P=11, eval_pairs=25)
    member = always_symbol(config, 3)
    (split,) = Pack([member], banks_for(config), CPU).splits
    assert len(split.val) > 25
    strict = split.val[:25][split.strict[:25]]
    (found,) = accuracies(member)
    assert found.train == pytest.approx(share_with_result(config, split.train[:25], 3))
    assert found.val == pytest.approx(share_with_result(config, split.val[:25], 3))
    assert found.strict == pytest.approx(share_with_result(config, strict, 3))


def test_the_averaged_weights_are_evaluated_and_not_the_raw_ones():
    member = always_symbol(tiny(), 2)
    expected = accuracies(member)
    member.state.weights.copy_(torch.randn_like(member.state.weights))
    assert [same(a.train, b.train) for a, b in zip(accuracies(member), expected)] == [True]


def test_an_untrained_model_is_right_about_as_often_as_chance():
    members = [Member.start(tiny(P=11, seed=seed, eval_pairs=999)) for seed in range(12)]
    mean = np.mean([(a.train, a.val) for a in accuracies(*members)])
    assert mean == pytest.approx(1 / 11, abs=0.05)


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


# --- copies ---------------------------------------------------------------------------------------


def copies(member):
    return accuracies(member)[0].copies


@pytest.mark.parametrize("number", [0, 2])
def test_a_training_image_is_a_copy(number):
    assert copies(always_symbol(tiny(N=3), 4, number)) == 1.0


def test_the_middle_of_two_training_images_is_no_copy():
    images = synthetic_bank(7, 3, 8).standardized
    assert copies(always(tiny(N=3), (images[4, 0] + images[4, 1]) / 2)) == 0.0


def test_near_means_a_third_of_the_way_to_the_second_nearest():
    images = synthetic_bank(7, 2, 8).standardized
    first, second = images[3]
    for share, is_copy in ((0.2, 1.0), (0.24, 1.0), (0.26, 0.0), (0.4, 0.0)):
        assert copies(always(tiny(N=2), first + share * (second - first))) == is_copy


def test_copies_are_counted_for_varied_symbols_only():
    varied, single = accuracies(always_symbol(tiny(N=2), 1), always_symbol(tiny(), 1))
    assert varied.copies == 1.0
    assert math.isnan(single.copies)


def test_copies_are_looked_for_among_the_images_of_the_member_itself():
    """Both predict an image of the second member's bank; the first has another bank."""
    foreign = synthetic_bank(9, 2, 8).standardized[8, 1]
    found = accuracies(always(tiny(N=2), foreign), always(tiny(P=9, N=2), foreign))
    assert [a.copies for a in found] == [0.0, 1.0]


# --- whole evaluations ----------------------------------------------------------------------------


def test_an_evaluation_names_step_loss_and_norm_of_each_member():
    members = [Member.start(tiny(seed=k)) for k in (1, 2)]
    members[1].state.step += 7
    banks = banks_for(members[0].config)
    pack = Pack(members, banks, CPU)
    found = evaluate(pack, decoders_for(banks), banks, torch.tensor([0.25, 0.5]))
    assert [e.step for e in found] == [0, 7]
    assert [e.loss for e in found] == [0.25, 0.5]
    norms = [float(m.state.weights.norm()) for m in members]
    assert [e.weight_norm for e in found] == pytest.approx(norms)


def test_evaluating_changes_nothing():
    member = Member.start(tiny(N=2))
    banks = banks_for(member.config)
    pack = Pack([member], banks, CPU)
    before = {name: rows.clone() for name, rows in vars(pack.state).items()}
    first = accuracy(pack, decoders_for(banks), banks, 3)
    assert accuracy(pack, decoders_for(banks), banks, 3) == first
    for name, rows in vars(pack.state).items():
        assert torch.equal(rows, before[name])
