import math

import numpy as np
import pytest
import torch

from grokmodel.analysis.progress import _excluded, _own_restricted, _restricted, progress
from grokmodel.data.pairs import split_pairs
from grokmodel.image.pack import bank_key
from grokmodel.probing.activations import collect
from grokmodel.probing.cyclic import cyclic_order
from grokmodel.probing.fourier import gini, spectrum
from grokmodel.probing.probe import shares
from tests.grokmodel.analysis.handmade import (
    Nearest,
    lookup_config,
    lookup_member,
    memoriser,
    memoriser_table,
    pixel_bank,
    pixel_banks,
    probe_of,
    random,
    random_member,
    rule_follower,
    rule_table,
    wave_images,
)
from tests.grokmodel.tiny import banks_for, decoders_for, tiny

P = 7
SPLIT = {"split": "unordered"}
"""All 20 held-out pairs are strict then: enough for 3 frequencies, which need 14."""


def progress_of(member, banks=None, decoders=None):
    probe = probe_of(member, banks=banks)
    (row,) = progress(probe, decoders or decoders_for(probe.banks), [0])
    return row


def following(**changes):
    """A member that follows the rule, with templates all equally far from each other."""
    member = rule_follower(lookup_config(**SPLIT, **changes), pixel_bank(P, 8))
    return member, pixel_banks(member)


def output_spectrum(probe, out_MQX, i=0):
    grid = out_MQX[i].reshape(probe.P, probe.P, -1).numpy()
    return spectrum(probe.order.arrange(grid))


def images_of(probe, table):
    """(M, Q, X) template of `table[a, b]` at every pair, right or not."""
    return probe.templates()[:, torch.from_numpy(table).reshape(-1)]


# --- what is kept and what is removed -------------------------------------------------------------


@pytest.mark.parametrize(("op", "sign"), [("add", 1), ("sub", -1), ("mul", 1), ("div", -1)])
def test_the_waves_of_the_rule_are_kept_and_excluded_at_the_dominant_alone(op, sign):
    probe = probe_of(random_member(tiny(op=op)))
    n = probe.order.n
    w = 2 * np.pi * np.arange(n) / n
    a, b = np.meshgrid(w, w, indexing="ij")
    rule = 3 * np.cos(2 * (a + sign * b) + 0.3)
    other = {
        "a alone": np.cos(2 * a),
        "b alone": np.cos(2 * b),
        "the other sign": np.cos(2 * (a - sign * b)),
        "another frequency": 0.1 * np.cos(a + sign * b),
    }
    pairs = torch.from_numpy(probe.order.pairs.reshape(-1))
    out = torch.zeros(1, P**2, 64)
    out[0, pairs, 0] = torch.from_numpy(7 + rule + sum(other.values())).float().reshape(-1)
    dominant = [output_spectrum(probe, out)]
    assert dominant[0].dominant == (2,)
    restricted, excluded = (
        f(probe, out, dominant)[0, pairs, 0].view(n, n) for f in (_restricted, _excluded)
    )
    np.testing.assert_allclose(restricted, 7 + rule, atol=1e-4)
    np.testing.assert_allclose(excluded, 7 + sum(other.values()), atol=1e-4)


@pytest.mark.parametrize("op", ["add", "mul"])
def test_restricted_and_excluded_make_up_the_whole_with_one_mean_too_many(op):
    probe = probe_of(random_member(tiny(op=op)), random_member(tiny(op=op, seed=2)))
    out = random(2, P**2, 64)
    dominant = [output_spectrum(probe, out, i) for i in (0, 1)]
    pairs = torch.from_numpy(probe.order.pairs.reshape(-1))
    both = _restricted(probe, out, dominant) + _excluded(probe, out, dominant)
    whole = out[:, pairs]
    torch.testing.assert_close(both[:, pairs], whole + whole.mean(1, True), rtol=0, atol=1e-5)


def test_pairs_without_a_logarithm_are_left_as_they_are():
    probe = probe_of(random_member(tiny(op="mul")))
    out = random(1, P**2, 64)
    dominant = [output_spectrum(probe, out)]
    outside = np.setdiff1d(np.arange(P**2), probe.order.pairs)
    for f in (_restricted, _excluded):
        assert torch.equal(f(probe, out, dominant)[:, outside], out[:, outside])


def test_an_output_without_dominant_is_restricted_to_its_mean():
    probe = probe_of(random_member(tiny()))
    out = torch.ones(1, P**2, 64)
    dominant = [output_spectrum(probe, out)]
    torch.testing.assert_close(_restricted(probe, out, dominant), out)
    torch.testing.assert_close(_excluded(probe, out, dominant), out)


# --- members whose answers are known --------------------------------------------------------------


@pytest.mark.parametrize("op", ["add", "sub"])
def test_all_of_a_rule_follower_lies_in_the_waves_of_the_rule(op):
    row = progress_of(*following(op=op))
    assert row.n_dominant == 3
    for loss in (row.train_loss, row.strict_loss, row.restricted_loss):
        assert loss == pytest.approx(0, abs=1e-9)
    # the mean image remains, and the images have unit variance about it
    assert row.excluded_loss == pytest.approx(1, abs=1e-4)
    assert (row.restricted_acc, row.restricted_acc_own) == (1, 1)


@pytest.mark.parametrize("op", ["mul", "div"])
def test_a_rule_follower_by_logarithms_too(op):
    """Pairs with a 0 are no part of the group and do not count."""
    row = progress_of(*following(op=op))
    assert row.n_dominant == 3
    for loss in (row.train_loss, row.strict_loss, row.restricted_loss):
        assert loss == pytest.approx(0, abs=1e-9)
    # about the mean of the 6 symbols of the group these have 5/6 of the square of a unit vector,
    # about the mean of all 7, which defines unit variance, 6/7
    assert row.excluded_loss == pytest.approx((5 / 6) / (6 / 7), abs=1e-4)
    assert row.restricted_acc == 1


def test_a_memoriser_is_right_when_restricted_by_all_pairs_and_not_by_its_strict_pairs():
    config = lookup_config(train_fraction=0.65, seed=4, **SPLIT)
    member = memoriser(config, pixel_bank(P, 8))
    row = progress_of(member, pixel_banks(member))
    assert row.n_dominant == 3
    assert row.train_loss == pytest.approx(0, abs=1e-9)
    # two different unit vectors are a square distance of 2 apart: in units of variance 2 / (6 / 7)
    assert row.strict_loss == pytest.approx(14 / 6, abs=1e-4)
    assert row.restricted_acc == 1
    assert row.restricted_acc_own == 0


def test_the_same_of_a_larger_grid():
    config = tiny(P=23, train_fraction=0.65, **SPLIT)
    probe = probe_of(random_member(config))
    decoders = decoders_for(probe.banks)
    memory, rule = (images_of(probe, f(config)) for f in (memoriser_table, rule_table))
    for out, own in ((memory, 0.0), (rule, 1.0)):
        dominant = [output_spectrum(probe, out)]
        restricted = _restricted(probe, out, dominant)
        assert shares(probe.right(restricted, decoders), probe)[0].strict > 0.95
        (found,) = _own_restricted(probe, out, dominant, decoders)
        assert found == pytest.approx(own, abs=0.05)


def test_with_few_strict_pairs_there_is_no_accuracy_of_their_own():
    config = lookup_config(split="ordered", train_fraction=0.8)
    assert 0 < split_pairs(config).strict.sum() < 14
    member = rule_follower(config, pixel_bank(P, 8))
    row = progress_of(member, pixel_banks(member))
    assert row.restricted_acc == 1
    assert math.isnan(row.restricted_acc_own)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_waves_that_a_member_draws_are_its_dominant(k):
    config = lookup_config(**SPLIT)
    bank = pixel_bank(P, 8)
    drawn = wave_images(cyclic_order("add", P), k)
    member = lookup_member(config, bank, rule_table(config), drawn)
    row = progress_of(member, pixel_banks(member), {bank_key(config): Nearest(bank, drawn)})
    assert (row.n_dominant, row.is_key) == (1, True)
    assert row.gini_output == pytest.approx(2 / 3, abs=1e-4)
    assert (row.restricted_acc, row.restricted_acc_own) == (1, 1)
    # the mean of all waves is left: the same image for all 29 training pairs
    table = rule_table(config)
    counts = np.bincount(table[tuple(split_pairs(config).train.T)], minlength=P)
    assert any(row.excluded_acc == pytest.approx(c / counts.sum()) for c in counts)


# --- rows -----------------------------------------------------------------------------------------


def test_the_spectra_are_those_of_embedding_neurons_and_output_at_pure_noise():
    member = random_member(tiny(op="mul"))
    probe = probe_of(member)
    row = progress_of(member)
    grids = {g.point.label: g.values for g in next(collect(probe, 1.0))}
    for name, point in (
        ("embedding", "embedding[a]"),
        ("neurons", "block0.ffn.post"),
        ("output", "output"),
    ):
        expected = gini(spectrum(probe.order.arrange(grids[point])).fve)
        assert getattr(row, f"gini_{name}") == pytest.approx(expected)


def test_the_losses_are_those_against_the_mean_image_of_the_class():
    config = tiny(N=2)
    probe = probe_of(random_member(config))
    row = progress_of(probe.members[0])
    grids = {g.point.label: g.values for g in next(collect(probe, 1.0))}
    target = images_of(probe, rule_table(config))[0].numpy()
    error = np.square(grids["output"].reshape(P**2, -1) - target).mean(1)
    split = split_pairs(config)
    assert row.train_loss == pytest.approx(error[split.train @ (P, 1)].mean(), rel=1e-5)
    strict = split.val[split.strict] @ (P, 1)
    assert row.strict_loss == pytest.approx(error[strict].mean(), rel=1e-5)


def test_accuracies_are_of_strict_pairs_when_restricted_and_of_training_pairs_when_excluded():
    config = lookup_config(split="ordered", train_fraction=0.4)
    banks = banks_for(config)
    member = memoriser(config, *banks.values())
    probe = probe_of(member, banks=banks)
    decoders = decoders_for(banks)
    row = progress_of(member, banks)
    out = images_of(probe, memoriser_table(config))
    dominant = [output_spectrum(probe, out)]
    restricted, excluded = (
        shares(probe.right(f(probe, out, dominant), decoders), probe)[0]
        for f in (_restricted, _excluded)
    )
    assert len({restricted.train, restricted.val, restricted.strict}) == 3
    assert len({excluded.train, excluded.strict}) == 2
    assert (row.restricted_acc, row.excluded_acc) == (restricted.strict, excluded.train)


def test_the_last_snapshot_names_the_dominant_of_all():
    """An early snapshot of one wave is judged by the wave of the last one."""
    config = lookup_config(**SPLIT)
    bank = pixel_bank(P, 8)
    order = cyclic_order("add", P)
    one, two = (
        lookup_member(config, bank, rule_table(config), wave_images(order, k)) for k in (1, 2)
    )
    probe = probe_of(one, two, banks=pixel_banks(one))
    decoders = {bank_key(config): Nearest(bank, wave_images(order, 1))}
    own, by_last, last = (progress(probe, decoders, i) for i in ([0, 1], [1, 1], [1, 0]))
    # where the wave is taken away or not kept, the mean image is left: a loss of 1
    assert own[0].excluded_loss == pytest.approx(1, abs=1e-4)
    assert by_last[0].restricted_loss == pytest.approx(1, abs=1e-4)
    assert by_last[0].excluded_loss == pytest.approx(own[0].train_loss, rel=1e-5)
    assert own[0].train_loss > 1.1
    assert own[1] == by_last[1]
    assert last[0] == by_last[0]


@pytest.mark.parametrize("N", [1, 2])
def test_rows_of_a_member_do_not_depend_on_its_pack_mates(N):
    configs = [lookup_config(N=N, seed=s, train_fraction=0.5 + s / 10) for s in (1, 2)]
    banks = banks_for(*configs)
    (bank,) = banks.values()
    members = [memoriser(configs[0], bank), random_member(configs[1])]
    together = probe_of(*members, banks=banks)
    for member, expected in zip(members, progress(together, decoders_for(banks), [0, 1])):
        alone = progress_of(member, banks)
        assert vars(alone) == pytest.approx(vars(expected), rel=1e-3, abs=1e-6, nan_ok=True)


def test_without_a_cyclic_rule_there_is_nothing_to_restrict():
    """Multiplication modulo 6 is no group."""
    probe = probe_of(random_member(tiny(op="mul", P=6)))
    (row,) = progress(probe, decoders_for(probe.banks), [0])
    assert math.isfinite(row.train_loss)
    for value in (row.restricted_loss, row.excluded_loss, row.restricted_acc, row.excluded_acc):
        assert math.isnan(value)
