import math

import numpy as np
import pytest
import torch

from grokmodel.analysis.progress import progress, with_rule
from grokmodel.image.pack import bank_key
from grokmodel.probing.activations import collect
from grokmodel.probing.cyclic import cyclic_order
from grokmodel.probing.fourier import gini, spectrum
from grokmodel.probing.probe import shares
from tests.grokmodel.analysis.handmade import (
    Nearest,
    decoders_of,
    follower_probe,
    lookup_config,
    lookup_member,
    memorizer,
    memorizer_table,
    pairs_of,
    pixel_bank,
    pixel_banks,
    probe_of,
    random,
    random_member,
    rule_table,
    wave_images,
    wave_probe,
)
from tests.grokmodel.tiny import tiny

P = 7
SPLIT = {"split": "unordered"}
"""All 20 held-out pairs are strict then: enough for 3 frequencies, which need 14."""


def progress_of(probe, decoders=None):
    (row,) = progress(probe, decoders or decoders_of(probe), [0])
    return row


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
        with_rule(probe, out, dominant, keep)[0, pairs, 0].view(n, n) for keep in (True, False)
    )
    np.testing.assert_allclose(restricted, 7 + rule, atol=1e-4)
    np.testing.assert_allclose(excluded, 7 + sum(other.values()), atol=1e-4)


@pytest.mark.parametrize("op", ["add", "mul"])
def test_restricted_and_excluded_make_up_the_whole_with_one_mean_too_many(op):
    """Pairs without a logarithm are left as they are."""
    probe = probe_of(random_member(tiny(op=op)), random_member(tiny(op=op, seed=2)))
    out = random(2, P**2, 64)
    dominant = [output_spectrum(probe, out, i) for i in (0, 1)]
    pairs = torch.from_numpy(probe.order.pairs.reshape(-1))
    outside = np.setdiff1d(np.arange(P**2), probe.order.pairs)
    parts = [with_rule(probe, out, dominant, keep) for keep in (True, False)]
    whole = out[:, pairs]
    both = sum(parts)[:, pairs]
    torch.testing.assert_close(both, whole + whole.mean(1, True), rtol=0, atol=1e-5)
    assert all(torch.equal(part[:, outside], out[:, outside]) for part in parts)


# --- members whose answers are known --------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "excluded"),
    [
        # the mean image remains, and the images have unit variance about it
        ("add", 1.0),
        ("sub", 1.0),
        # pairs with a 0 are no part of the group: about the mean of its 6 symbols these have 5/6 of
        # the square of a unit vector, about the mean of all 7, which defines unit variance, 6/7
        ("mul", (5 / 6) / (6 / 7)),
        ("div", (5 / 6) / (6 / 7)),
    ],
)
def test_all_of_a_rule_follower_lies_in_the_waves_of_the_rule(op, excluded):
    row = progress_of(follower_probe(pixels=True, op=op, **SPLIT))
    assert row.n_dominant == 3
    for loss in (row.train_loss, row.strict_loss, row.restricted_loss):
        assert loss == pytest.approx(0, abs=1e-9)
    assert row.excluded_loss == pytest.approx(excluded, abs=1e-4)
    assert row.restricted_acc == 1
    if op in ("add", "sub"):
        assert row.restricted_acc_within_split == 1


def test_a_memorizer_is_right_when_restricted_by_all_pairs_and_not_by_its_strict_pairs():
    row = progress_of(follower_probe(memorizer, True, train_fraction=0.65, seed=4, **SPLIT))
    assert row.n_dominant == 3
    assert row.train_loss == pytest.approx(0, abs=1e-9)
    # two different unit vectors are a square distance of 2 apart: in units of variance 2 / (6 / 7)
    assert row.strict_loss == pytest.approx(14 / 6, abs=1e-4)
    assert (row.restricted_acc, row.restricted_acc_within_split) == (1, 0)


def test_with_few_strict_pairs_there_is_no_accuracy_of_their_own():
    probe = follower_probe(pixels=True, train_fraction=0.8)
    assert 0 < len(pairs_of(probe.members[0].config)[1]) < 14
    row = progress_of(probe)
    assert row.restricted_acc == 1
    assert math.isnan(row.restricted_acc_within_split)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_waves_that_a_member_draws_are_its_dominant(k):
    probe, decoders = wave_probe(k, **SPLIT)
    row = progress_of(probe, decoders)
    assert row.n_dominant == 1
    assert row.gini_output == pytest.approx(2 / 3, abs=1e-4)
    assert (row.restricted_acc, row.restricted_acc_within_split) == (1, 1)
    # the mean of all waves is left: the same image for all 29 training pairs
    config = probe.members[0].config
    train, _ = pairs_of(config)
    counts = np.bincount(rule_table(config).flatten()[train], minlength=P)
    assert any(row.excluded_acc == pytest.approx(c / counts.sum()) for c in counts)


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"op": "mul"}, {"N": 2}])
def test_spectra_and_losses_are_those_of_the_activations_at_pure_noise(changes):
    """Losses are against the mean image of the class."""
    config = tiny(**changes)
    probe = probe_of(random_member(config))
    row = progress_of(probe)
    grids = {g.point.label: g.values for g in next(collect(probe, 1.0))}
    for name, point in (
        ("embedding", "embedding[a]"),
        ("neurons", "block0.ffn.post"),
        ("output", "output"),
    ):
        expected = gini(spectrum(probe.order.arrange(grids[point])).fve)
        assert getattr(row, f"gini_{name}") == pytest.approx(expected)
    target = images_of(probe, rule_table(config))[0].numpy()
    error = np.square(grids["output"].reshape(P**2, -1) - target).mean(1)
    for loss, pairs in zip((row.train_loss, row.strict_loss), pairs_of(config)):
        counted = np.intersect1d(pairs, probe.order.pairs)
        assert loss == pytest.approx(error[counted].mean(), rel=1e-5)


def test_accuracies_are_of_strict_pairs_when_restricted_and_of_training_pairs_when_excluded():
    probe = follower_probe(memorizer, train_fraction=0.4)
    decoders = decoders_of(probe)
    row = progress_of(probe)
    out = images_of(probe, memorizer_table(probe.members[0].config))
    dominant = [output_spectrum(probe, out)]
    restricted, excluded = (
        shares(probe.right(with_rule(probe, out, dominant, keep), decoders), probe)[0]
        for keep in (True, False)
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


def test_without_a_cyclic_rule_there_is_nothing_to_restrict():
    """Multiplication modulo 6 is no group."""
    row = progress_of(probe_of(random_member(tiny(op="mul", P=6))))
    assert math.isfinite(row.train_loss)
    for value in (row.restricted_loss, row.excluded_loss, row.restricted_acc, row.excluded_acc):
        assert math.isnan(value)
