import numpy as np
import pytest
import torch

from grokmodel.dictionaries import sae
from grokmodel.dictionaries.dictionaries import (
    DATA,
    NEURONS,
    _what_of,
    dictionaries,
    shares,
    stability,
)
from grokmodel.probing.null import random_orders
from tests.grokmodel.analysis.handmade import follower_probe, random

N = 13
A, B = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")


def features(*grids):
    return np.stack(grids, axis=-1).astype(float)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_a_feature_is_a_function_of(sign):
    c = (A + sign * B) % N
    wave = np.cos(2 * np.pi * 3 * c / N + 0.4)
    other = np.cos(2 * np.pi * (A - sign * B) / N)
    one = c == 5
    rule, frequency, result = shares(features(wave, wave + other, one, other), sign)
    np.testing.assert_allclose(rule, [1, 0.5, 1, 0], atol=1e-12)
    np.testing.assert_allclose(frequency, [1, 0.5, 2 / (N - 1), 0], atol=1e-12)
    assert result[2] == pytest.approx(1)
    assert result[0] < 0.3


def test_shares_of_an_even_group_sum_over_its_frequencies():
    n = 6
    c = np.add.outer(np.arange(n), np.arange(n)) % n
    _, frequency, _ = shares((-1.0) ** c[..., None], 1)
    assert frequency[0] == pytest.approx(1)


def test_waves_are_beyond_chance_and_noise_is_not():
    orders = random_orders(N, 0)
    waves = [np.cos(2 * np.pi * k * (A + B) / N) for k in (1, 2, 5)]
    noise = np.random.default_rng(0).standard_normal((N, N, 40))
    rule, frequency, q95, is_wave, _, is_result = _what_of(features(*waves), 1, orders)
    assert (rule, frequency) == (pytest.approx(1), pytest.approx(1))
    assert q95 < 0.5
    assert (is_wave, is_result) == (1, 0)
    rule, frequency, q95, is_wave, *_ = _what_of(noise, 1, orders)
    assert rule == pytest.approx(1 / N, abs=0.03)
    assert frequency < q95
    assert is_wave == 0


def test_without_a_rule_nothing_is_said():
    assert np.isnan(_what_of(random(N, N, 2).numpy(), 0, random_orders(N, 0))).all()


def test_equal_dictionaries_are_stable_and_random_ones_are_not():
    atoms = random(30, 50)
    shuffled = 3 * atoms[torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    assert stability([atoms, shuffled]) == pytest.approx([1, 1], abs=1e-5)
    assert max(stability([atoms, random(30, 50, seed=1)])) < 0.5
    assert np.isnan(stability([atoms, atoms[:0]])).all()


def test_rows_of_a_member(monkeypatch):
    monkeypatch.setattr(sae, "STEPS", 20)
    (rows,) = dictionaries(follower_probe())
    kinds = {row.dictionary: row for row in rows}
    assert len(rows) == 3 * 3 + 1 + 3
    assert {row.hook for row in rows} == {"block0.ffn.post"}
    # of this member a neuron is on for one pair alone: no wave, and a P-th of a result
    assert kinds[NEURONS].features == 49
    assert kinds[NEURONS].one_frequency == 0
    assert kinds[NEURONS].rule_fve == pytest.approx(1 / 8, abs=1e-3)
    assert np.isnan(kinds[DATA].rule_fve)
