"""A spectrum is set against the same grid with its classes in random order."""

import numpy as np
import pytest

from grokmodel.probing import null
from grokmodel.probing.fourier import spectrum
from grokmodel.probing.null import CHANCE, ORDERS, against_null, random_orders
from tests.grokmodel.analysis.waves import P, random, sum_wave, wave


def null_of(grid, seed=0):
    (found,) = against_null([grid], random_orders(len(grid), seed))
    return found


def of_a(one):
    return np.repeat(one[:, None], len(one), axis=1)


# --- the null -------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [null.NUMBERS_AT_ONCE, 1])
@pytest.mark.parametrize("n", [3, 7, 8])
def test_the_null_is_the_spectrum_of_the_grid_in_random_order(n, at_once, monkeypatch):
    """Of many grids at once, or each by itself: of one and of many features, of both operands and
    of one."""
    monkeypatch.setattr(null, "NUMBERS_AT_ONCE", at_once)
    grids = [random(n, n, d, seed=d) for d in (1, 3, 200)] + [random(n, n) + 50.0]
    grids += [of_a(random(n)), of_a(random(n)).T + of_a(random(n, seed=1))]
    orders = random_orders(n, 1)
    for grid, found in zip(grids, against_null(grids, orders), strict=True):
        np.testing.assert_array_equal(found.fve, spectrum(grid).fve)
        expected = [spectrum(grid[np.ix_(order, order)]).share for order in orders]
        expected = -np.sort(-np.array(expected), axis=1)
        np.testing.assert_allclose(found.null_RK, expected, atol=1e-5)


def test_random_orders_are_permutations_that_a_seed_names():
    orders = random_orders(P, 3, P)
    assert orders.shape == (ORDERS, P)
    assert (np.sort(orders, axis=1) == np.arange(P)).all()
    np.testing.assert_array_equal(random_orders(P, 3, P), orders)
    assert (random_orders(P, 4, P) != orders).any()


def test_a_p_value_counts_the_orders_whose_strongest_frequency_is_as_strong():
    found = null_of(random(P, P, 2))
    strongest = found.null_RK[:, 0]
    for share, p in zip(found.share, found.p_values, strict=True):
        assert p == (1 + (strongest >= share).sum()) / (1 + ORDERS)
    assert (strongest > found.null_q95).sum() == pytest.approx(0.05 * ORDERS, abs=1)


# --- what is beyond chance ------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 16])
@pytest.mark.parametrize("k", [1, 7])
def test_a_planted_frequency_is_beyond_chance(k, d):
    found = null_of(sum_wave(k)[..., None] + 0.5 * random(P, P, d))
    assert found.p_values[k - 1] <= 0.01
    assert found.null_q95 < 0.7 < found.share[k - 1]
    assert (np.delete(found.p_values, k - 1) > 0.5).all()


def test_white_noise_has_uniform_p_values_and_is_hardly_ever_key():
    found = [null_of(random(11, 11, 3, seed=seed), seed) for seed in range(300)]
    p = np.array([s.p_values.min() for s in found])
    for level in (0.1, 0.5, 0.9):  # within three standard deviations
        assert (p <= level).mean() == pytest.approx(
            level, abs=3 * (level * (1 - level) / 300) ** 0.5
        )
    assert sum(bool(s.key_frequencies) for s in found) <= 300 * CHANCE


def test_what_is_key_is_key_no_more_with_its_classes_in_another_order():
    """A spectrum of one head: a function of a, with few frequencies, always has a strongest one."""
    grid = of_a(wave(3) + 0.3 * wave(5))
    assert null_of(grid).key_frequencies
    again = [null_of(grid[np.ix_(order, order)]) for order in random_orders(P, 9)[:60]]
    assert sum(bool(s.key_frequencies) for s in again) <= 3
    assert sum(s.p_values.min() <= CHANCE for s in again) <= 6


@pytest.mark.parametrize("grid", [np.ones((P, P)), np.outer(wave(2, phase=0), wave(5, phase=0))])
def test_where_no_frequency_has_power_chance_has_as_much(grid):
    found = null_of(grid)
    assert (found.p_values == 1).all()
    assert (found.p_dominant, found.key_frequencies) == (1, ())


# --- key frequencies ------------------------------------------------------------------------------


@pytest.mark.parametrize("planted", [(5,), (1, 3, 7, 9), (2, 11)])
def test_planted_frequencies_are_found_under_noise(planted):
    phases = random(len(planted), 64, seed=1)
    grid = sum(
        np.stack([sum_wave(k, phase=phase) for phase in phases[i]], axis=-1)
        for i, k in enumerate(planted)
    )
    assert null_of(grid + 0.3 * random(P, P, 64)).key_frequencies == planted


def test_several_of_equal_power_are_key_together_though_none_is_beyond_chance_alone():
    found = null_of(sum(sum_wave(k) for k in (1, 3, 7, 9)))
    assert found.p_values.min() > CHANCE
    assert found.p_dominant <= 0.01
    assert found.key_frequencies == (1, 3, 7, 9)


def test_what_only_fills_up_the_sum_is_not_key():
    """As a head's scores: one frequency and a little of all."""
    grid = of_a(wave(11) + sum(0.08 * wave(k, phase=k) for k in range(1, 11)))
    found = null_of(grid)
    assert len(found.dominant) > 1
    assert found.key_frequencies == (11,)


def test_a_weak_one_is_key_where_the_others_are_far_weaker():
    """Shares of a published network, arXiv 2301.05217."""
    shares = dict(zip((14, 35, 41, 42, 52), (0.56, 0.14, 0.13, 0.09, 0.06)))
    others = [k for k in range(1, 57) if k not in shares]
    power = shares | dict.fromkeys(others, 0.02 / len(others))
    grid = sum(share**0.5 * sum_wave(k, 113, phase=k) for k, share in power.items())
    assert null_of(grid).key_frequencies == (14, 35, 41, 42, 52)


def transformer_neurons(modulus, frequencies, d, noise):
    """(P, P, d) neurons as Nanda et al. found them, each of one frequency w: a mix of the waves of
    a, of b, and of the products of both, of which the network makes those of a + b."""
    rng = np.random.default_rng(0)
    a = np.arange(modulus)
    out = np.zeros((modulus, modulus, d))
    for neuron in range(d):
        angle = 2 * np.pi * frequencies[neuron % len(frequencies)] * a / modulus
        one, two = (np.stack([np.cos(angle), np.sin(angle)]) for _ in range(2))
        out[..., neuron] += (rng.standard_normal(2) @ one)[:, None] + rng.standard_normal(2) @ two
        out[..., neuron] += np.einsum("xy,xa,yb->ab", rng.standard_normal((2, 2)), one, two)
    return out + noise * out.std() * rng.standard_normal(out.shape)


def test_the_published_frequencies_of_a_transformer_are_found_in_its_neurons():
    """arXiv 2301.05217: P = 113, five key frequencies."""
    neurons = transformer_neurons(113, (14, 35, 41, 42, 52), d=128, noise=0.02)
    s = null_of(neurons.astype(np.float32))
    assert s.key_frequencies == (14, 35, 41, 42, 52)
    assert s.dominant == s.key_frequencies
    assert set(s.leading[:5]) == set(s.key_frequencies)
    assert s.fve_a.sum() + s.fve_b.sum() + s.fve_ab.sum() > 0.99


@pytest.mark.parametrize(
    ("count", "modulus", "few"),
    [(1, P, True), (5, P, True), (6, P, False), (8, P, False), (6, 24, True), (7, 24, False)],
)
def test_the_dominant_are_key_frequencies_where_they_are_at_most_half_of_all(count, modulus, few):
    s = null_of(sum(sum_wave(k, modulus) for k in range(1, count + 1)))
    assert s.dominant == tuple(range(1, count + 1))
    assert s.key_frequencies == (s.dominant if few else ())
