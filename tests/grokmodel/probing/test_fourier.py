"""The power of a grid is shared out to its frequencies; their entropy and Gini coefficient."""

import time

import numpy as np
import pytest

from grokmodel.probing.fourier import gini, spectrum
from tests.grokmodel.analysis.waves import MODULI, P, only, random, sum_wave, wave


def total(s):
    return s.fve_a.sum() + s.fve_b.sum() + s.fve_ab.sum() + s.cross


# --- shares of variance ---------------------------------------------------------------------------


@pytest.mark.parametrize("modulus", MODULI)
@pytest.mark.parametrize("d", [1, 5])
def test_the_shares_of_any_grid_sum_to_one(modulus, d):
    s = spectrum(random(modulus, modulus, d) + 100.0)
    assert total(s) == pytest.approx(1, abs=1e-12)
    assert s.frequencies.tolist() == list(range(1, modulus // 2 + 1))


@pytest.mark.parametrize("modulus", [7, 8])
def test_shares_agree_with_the_discrete_fourier_transform(modulus):
    grid = random(modulus, modulus, 3)
    power = (np.abs(np.fft.fft2(grid, axes=(0, 1))) ** 2).sum(-1)
    power[0, 0] = 0
    power /= power.sum()
    frequency = np.minimum(np.arange(modulus), modulus - np.arange(modulus))
    s = spectrum(grid)
    for i, k in enumerate(s.frequencies):
        is_k = frequency == k
        assert s.fve_a[i] == pytest.approx(power[is_k, 0].sum())
        assert s.fve_b[i] == pytest.approx(power[0, is_k].sum())
        assert s.fve_ab[i] == pytest.approx(power[np.ix_(is_k, is_k)].sum())


@pytest.mark.parametrize("k", [1, 7, 11])
def test_a_wave_of_one_operand_is_all_at_its_frequency(k):
    of_a = spectrum(np.repeat(wave(k)[:, None], P, axis=1))
    of_b = spectrum(np.repeat(wave(k)[None, :], P, axis=0))
    np.testing.assert_allclose(of_a.fve_a, only(k), atol=1e-12)
    np.testing.assert_allclose(of_b.fve_b, only(k), atol=1e-12)
    np.testing.assert_allclose(of_a.fve_b + of_a.fve_ab + of_b.fve_a + of_b.fve_ab, 0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 7, 11])
def test_a_wave_of_the_sum_is_all_in_the_products_of_its_frequency(k):
    s = spectrum(sum_wave(k, phase=0.4))
    np.testing.assert_allclose(s.fve_ab, only(k), atol=1e-12)
    assert s.cross == pytest.approx(0, abs=1e-12)


def test_a_product_of_unequal_frequencies_is_all_cross():
    s = spectrum(np.outer(wave(2), wave(5)))
    assert s.cross == pytest.approx(1)
    np.testing.assert_allclose(s.fve, 0, atol=1e-12)


def test_shares_are_in_proportion_to_power():
    grid = 3 * sum_wave(4) + np.repeat(wave(6)[:, None], P, axis=1) + 2 * np.outer(wave(1), wave(2))
    power = np.array([9 / 2, 1 / 2, 4 / 4])
    s = spectrum(grid)
    found = [s.fve_ab[3], s.fve_a[5], s.cross]
    np.testing.assert_allclose(found, power / power.sum())


@pytest.mark.parametrize("modulus", [4, 8, 24])
def test_an_even_modulus_has_the_frequency_of_alternating_signs(modulus):
    a = np.arange(modulus)
    s = spectrum((-1.0) ** (a[:, None] + a))
    np.testing.assert_allclose(s.fve_ab, only(modulus // 2, modulus), atol=1e-12)
    of_a = spectrum(np.repeat((-1.0) ** a[:, None], modulus, axis=1))
    np.testing.assert_allclose(of_a.fve_a, only(modulus // 2, modulus), atol=1e-12)


def test_the_mean_and_the_scale_do_not_matter():
    grid = random(P, P, 4)
    s, other = spectrum(grid), spectrum(1e-3 * grid + np.array([5.0, 0.0, -7.0, 1e4]))
    np.testing.assert_allclose(other.fve, s.fve, rtol=1e-6)


def test_exchanging_the_operands_exchanges_their_shares():
    grid = random(P, P, 4)
    s, mirrored = spectrum(grid), spectrum(grid.swapaxes(0, 1))
    np.testing.assert_allclose(mirrored.fve_a, s.fve_b)
    np.testing.assert_allclose(mirrored.fve_b, s.fve_a)
    np.testing.assert_allclose(mirrored.fve_ab, s.fve_ab)


def test_a_grid_without_features_is_a_grid_with_one():
    grid = random(P, P)
    np.testing.assert_array_equal(spectrum(grid).fve, spectrum(grid[..., None]).fve)


def test_the_input_is_left_alone():
    grid = random(P, P, 3)
    before = grid.copy()
    spectrum(grid)
    np.testing.assert_array_equal(grid, before)


# --- Gini coefficient -----------------------------------------------------------------------------


@pytest.mark.parametrize("K", [1, 3, 11])
def test_the_gini_coefficient_is_zero_of_equals_and_largest_of_a_single_one(K):
    assert gini(np.full(K, 0.3)) == pytest.approx(0, abs=1e-12)
    assert gini(np.eye(K)[K // 2]) == pytest.approx((K - 1) / K)


def test_the_gini_coefficient_is_half_the_relative_mean_difference():
    power = np.random.default_rng(0).random(11)
    difference = np.abs(power[:, None] - power).mean()
    assert gini(power) == pytest.approx(difference / (2 * power.mean()))


def test_the_gini_coefficient_knows_neither_order_nor_scale():
    power = np.random.default_rng(0).random(11)
    assert gini(power[::-1]) == pytest.approx(gini(power))
    assert gini(1e-9 * power) == pytest.approx(gini(power))


def test_no_power_at_all_is_no_inequality():
    assert gini(np.zeros(5)) == 0


# --- grids without variance -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e6, 1e-300])
@pytest.mark.parametrize("shape", [(P, P), (P, P, 7), (24, 24, 3)])
def test_a_constant_grid_explains_nothing(value, shape):
    s = spectrum(np.full(shape, value))
    assert s.key_frequencies == ()
    assert s.cross == 0
    np.testing.assert_array_equal(s.fve, 0)
    assert np.isfinite(s.entropy)


def test_features_that_are_constant_each_at_its_own_value_explain_nothing():
    s = spectrum(np.broadcast_to([0.1, 1 / 3, -7.7], (P, P, 3)))
    assert s.key_frequencies == ()
    np.testing.assert_array_equal(s.fve, 0)


# --- entropy --------------------------------------------------------------------------------------


def test_one_frequency_has_no_entropy():
    assert spectrum(sum_wave(3)).entropy == pytest.approx(0, abs=1e-9)


def test_equal_power_at_every_frequency_has_full_entropy():
    assert spectrum(sum(sum_wave(k) for k in range(1, 12))).entropy == pytest.approx(1)


def test_white_noise_has_almost_full_entropy():
    assert 0.98 < spectrum(random(P, P, 256)).entropy <= 1


def test_two_equal_frequencies_have_the_entropy_of_a_coin():
    assert spectrum(sum_wave(3) + sum_wave(5)).entropy == pytest.approx(np.log(2) / np.log(11))


@pytest.mark.parametrize("modulus", MODULI)
def test_entropy_lies_between_zero_and_one(modulus):
    for seed in range(5):
        assert 0 <= spectrum(random(modulus, modulus, 2, seed=seed)).entropy <= 1


# --- what is no grid ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(5,), (5, 6), (5, 6, 2), (5, 5, 2, 2), (2, 2), (2, 2, 3), (0, 0)]
)
def test_an_array_that_is_no_grid_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError, match=r"need \(P, P, d\) with P >= 3"):
        spectrum(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_grid_with_a_value_that_is_not_finite_is_refused(bad):
    grid = random(P, P, 2)
    grid[1, 2, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        spectrum(grid)


def test_a_large_grid_takes_seconds_at_most():
    grid = random(113, 113, 512).astype(np.float32)
    started = time.process_time()
    assert total(spectrum(grid)) == pytest.approx(1)
    assert time.process_time() - started < 5
