"""The power of a grid is shared out to its frequencies; their entropy and Gini coefficient."""

import numpy as np
import pytest

from grokmodel.probing.fourier import gini, spectrum
from tests.grokmodel.analysis.waves import MODULI, P, only, random, sum_wave, wave

# --- shares of variance ---------------------------------------------------------------------------


@pytest.mark.parametrize("modulus", MODULI)
@pytest.mark.parametrize("d", [1, 5])
def test_the_shares_of_any_grid_sum_to_one(modulus, d):
    s = spectrum(random(modulus, modulus, d) + 100.0)
    total = s.fve_a.sum() + s.fve_b.sum() + s.fve_ab.sum() + s.cross
    assert total == pytest.approx(1, abs=1e-12)
    assert 0 <= s.entropy <= 1
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


@pytest.mark.parametrize(("k", "modulus"), [(1, P), (7, P), (11, P), (2, 4), (12, 24)])
def test_a_wave_is_all_at_its_frequency(k, modulus):
    """Of one operand, of the other, of their sum; alternating signs at half of an even modulus."""
    one = wave(k, modulus)
    of_a = spectrum(np.repeat(one[:, None], modulus, axis=1))
    of_b = spectrum(np.repeat(one[None, :], modulus, axis=0))
    of_sum = spectrum(sum_wave(k, modulus, phase=0.4))
    for share in (of_a.fve_a, of_b.fve_b, of_sum.fve_ab):
        np.testing.assert_allclose(share, only(k, modulus), atol=1e-12)


def test_shares_are_in_proportion_to_power():
    grid = 3 * sum_wave(4) + np.repeat(wave(6)[:, None], P, axis=1) + 2 * np.outer(wave(1), wave(2))
    power = np.array([9 / 2, 1 / 2, 4 / 4])
    s = spectrum(grid)
    found = [s.fve_ab[3], s.fve_a[5], s.cross]
    np.testing.assert_allclose(found, power / power.sum())


def test_the_mean_and_the_scale_do_not_matter():
    grid = random(P, P, 4)
    s, other = spectrum(grid), spectrum(1e-3 * grid + np.array([5.0, 0.0, -7.0, 1e4]))
    np.testing.assert_allclose(other.fve, s.fve, rtol=1e-6)


# --- Gini coefficient -----------------------------------------------------------------------------


@pytest.mark.parametrize("K", [1, 3, 11])
def test_the_gini_coefficient_is_half_the_relative_mean_difference(K):
    """0 of equals, largest of a single one, whatever their scale."""
    power = np.random.default_rng(0).random(K)
    difference = np.abs(power[:, None] - power).mean()
    assert gini(1e-9 * power) == pytest.approx(difference / (2 * power.mean()), abs=1e-12)
    assert gini(np.full(K, 0.3)) == pytest.approx(0, abs=1e-12)
    assert gini(np.eye(K)[K // 2]) == pytest.approx((K - 1) / K)
    assert gini(np.zeros(K)) == 0


# --- grids without variance -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-300, [0.1, 1 / 3, -7.7]])
@pytest.mark.parametrize("modulus", [P, 24])
def test_a_constant_grid_explains_nothing(value, modulus):
    """Also of features each at its own value."""
    s = spectrum(np.broadcast_to(value, (modulus, modulus, 3)))
    assert (s.dominant, s.leading) == ((), ())
    np.testing.assert_array_equal(s.share, 0)
    assert s.cross == 0
    np.testing.assert_array_equal(s.fve, 0)
    assert np.isfinite(s.entropy)


# --- entropy --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frequencies", "entropy"), [([3], 0), ([3, 5], np.log(2) / np.log(11)), (range(1, 12), 1)]
)
def test_equal_frequencies_have_the_entropy_of_their_number(frequencies, entropy):
    found = spectrum(sum(sum_wave(k) for k in frequencies)).entropy
    assert found == pytest.approx(entropy, abs=1e-9)


# --- what is no grid ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (5, 6), (5, 6, 2), (5, 5, 2, 2), (2, 2, 3), (0, 0)])
def test_an_array_that_is_no_grid_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError, match=r"need \(P, P, d\) with P >= 3"):
        spectrum(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_grid_with_a_value_that_is_not_finite_is_refused(bad):
    grid = random(P, P, 2)
    grid[1, 2, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        spectrum(grid)


# --- dominant frequencies -------------------------------------------------------------------------


def test_dominant_hold_95_percent_of_the_power_that_is_not_cross_and_one_fewer_does_not():
    for seed in range(20):
        s = spectrum(random(P, P, 3, seed=seed))
        power = dict(zip(s.frequencies.tolist(), s.fve))
        held = [power[k] for k in s.dominant]
        assert sum(held) >= 0.95 * s.fve.sum()
        assert sum(held) - min(held) < 0.95 * s.fve.sum()
        assert [power[k] for k in s.leading] == sorted(power.values(), reverse=True)
        assert set(s.dominant) == set(s.leading[: len(held)])
        np.testing.assert_allclose(s.share, s.fve / (1 - s.cross))


def test_a_frequency_is_dominant_until_the_others_hold_95_percent():
    enough = np.sqrt(0.96) * sum_wave(4) + np.sqrt(0.04) * sum_wave(9)
    too_little = np.sqrt(0.94) * sum_wave(4) + np.sqrt(0.06) * sum_wave(9)
    assert spectrum(enough).dominant == (4,)
    assert spectrum(too_little).dominant == (4, 9)
    with_cross = too_little + 5 * np.outer(wave(1), wave(2))
    assert spectrum(with_cross).dominant == (4, 9)


@pytest.mark.parametrize(("k", "m"), [(2, 5), (1, 3), (4, 11), (7, 2)])
def test_a_grid_that_is_all_cross_has_no_dominant_frequency(k, m):
    """What is left at equal frequencies is rounding, as in a constant grid."""
    s = spectrum(np.outer(wave(k, phase=0), wave(m, phase=0)))
    constant = spectrum(np.ones((P, P)))
    assert s.dominant == constant.dominant == ()
    assert s.entropy == constant.entropy
