import time

import numpy as np
import pytest

from grokmodel.analysis.fourier import basis, coefficients_of, gini, rule_waves, spectrum

P = 23
MODULI = [3, 4, 5, 8, 23, 24]


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def wave(k, modulus=P, phase=0.3):
    return np.cos(2 * np.pi * k * np.arange(modulus) / modulus + phase)


def sum_wave(k, modulus=P, phase=0.0):
    """cos(w_k (a + b)) on the grid."""
    a = np.arange(modulus)
    return np.cos(2 * np.pi * k * (a[:, None] + a) / modulus + phase)


def total(s):
    return s.fve_a.sum() + s.fve_b.sum() + s.fve_ab.sum() + s.cross


def only(frequency, modulus=P):
    """1 at one frequency, 0 at the others."""
    return (np.arange(1, modulus // 2 + 1) == frequency).astype(float)


# --- basis ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("modulus", MODULI)
def test_the_basis_is_orthonormal_and_complete(modulus):
    vectors, frequency = basis(modulus)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(modulus), atol=1e-12)
    assert set(frequency) == set(range(modulus // 2 + 1))


@pytest.mark.parametrize("modulus", MODULI)
def test_a_column_of_the_basis_has_the_frequency_of_its_name(modulus):
    vectors, frequency = basis(modulus)
    power = np.abs(np.fft.rfft(vectors, axis=0)) ** 2
    np.testing.assert_array_equal(power.argmax(0), frequency)
    others = power.sum(0) - power.max(0)
    np.testing.assert_allclose(others, 0, atol=1e-12)


# --- shares of variance --------------------------------------------------------------------------


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


# --- key frequencies -----------------------------------------------------------------------------


@pytest.mark.parametrize("planted", [(5,), (1, 3, 7, 9), (2, 11)])
def test_planted_frequencies_are_found_under_noise(planted):
    phases = random(len(planted), 64, seed=1)
    grid = sum(
        np.stack([sum_wave(k, phase=phase) for phase in phases[i]], axis=-1)
        for i, k in enumerate(planted)
    )
    assert spectrum(grid + 0.3 * random(P, P, 64)).key_frequencies == planted


def test_the_known_frequencies_modulo_113_are_found():
    planted = (14, 35, 41, 42, 52)
    grid = sum(np.stack([sum_wave(k, 113), sum_wave(k, 113, 1.6)], axis=-1) for k in planted)
    assert spectrum(grid + 0.3 * random(113, 113, 2)).key_frequencies == planted


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
    """arXiv 2301.05217: P = 113, 512 neurons, five key frequencies."""
    neurons = transformer_neurons(113, (14, 35, 41, 42, 52), d=512, noise=0.05)
    s = spectrum(neurons.astype(np.float32))
    assert s.key_frequencies == (14, 35, 41, 42, 52)
    assert s.carriers == s.key_frequencies
    assert set(s.leading[:5]) == set(s.key_frequencies)
    assert s.fve_a.sum() + s.fve_b.sum() + s.fve_ab.sum() > 0.99


def test_weak_frequencies_are_left_out():
    grid = 3 * sum_wave(4) + 3 * sum_wave(9) + 0.5 * sum_wave(2)
    assert spectrum(grid).key_frequencies == (4, 9)


def test_nine_tenths_of_the_power_are_enough_and_needed():
    enough = np.sqrt(0.91) * sum_wave(4) + np.sqrt(0.09) * sum_wave(9)
    too_little = np.sqrt(0.89) * sum_wave(4) + np.sqrt(0.11) * sum_wave(9)
    assert spectrum(enough).key_frequencies == (4,)
    assert spectrum(too_little).key_frequencies == (4, 9)


def test_power_spread_over_more_than_half_of_the_frequencies_has_no_keys():
    assert spectrum(sum(sum_wave(k) for k in range(1, 6))).key_frequencies == (1, 2, 3, 4, 5)
    assert spectrum(sum(sum_wave(k) for k in range(1, 8))).key_frequencies == ()


def test_cross_power_does_not_count_towards_the_keys():
    grid = sum_wave(3) + 5 * np.outer(wave(1), wave(2))
    assert spectrum(grid).key_frequencies == (3,)


def test_white_noise_has_no_key_frequencies():
    assert spectrum(random(P, P, 64)).key_frequencies == ()


@pytest.mark.parametrize(("k", "m"), [(2, 5), (1, 3), (4, 11), (7, 2)])
def test_a_grid_that_is_all_cross_has_no_key_frequencies(k, m):
    """What is left at equal frequencies is rounding, as in a constant grid."""
    s = spectrum(np.outer(wave(k, phase=0), wave(m, phase=0)))
    assert s.key_frequencies == ()
    assert s.entropy == spectrum(np.ones((P, P))).entropy


# --- carriers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_few_carriers_are_the_key_frequencies(count):
    s = spectrum(sum(sum_wave(k) for k in range(1, count + 1)))
    assert s.carriers == s.key_frequencies == tuple(range(1, count + 1))


@pytest.mark.parametrize("count", [6, 8])
def test_many_carriers_are_no_key_frequencies(count):
    s = spectrum(sum(sum_wave(k) for k in range(1, count + 1)))
    assert s.carriers == tuple(range(1, count + 1))
    assert s.key_frequencies == ()


def test_carriers_hold_nine_tenths_of_the_power_and_one_fewer_does_not():
    for seed in range(20):
        s = spectrum(random(P, P, 3, seed=seed))
        power = dict(zip(s.frequencies.tolist(), s.fve))
        held = [power[k] for k in s.carriers]
        assert sum(held) >= 0.9 * s.fve.sum()
        assert sum(held) - min(held) < 0.9 * s.fve.sum()
        assert min(held) >= max((power[k] for k in power if k not in s.carriers), default=0)


def test_frequencies_lead_in_the_order_of_their_power():
    s = spectrum(sum_wave(2) + 3 * sum_wave(7) + 2 * sum_wave(5))
    assert s.leading[:3] == (7, 5, 2)
    assert sorted(s.leading) == s.frequencies.tolist()


def test_a_constant_grid_has_no_carriers():
    s = spectrum(np.ones((P, P)))
    assert (s.carriers, s.leading) == ((), ())


# --- coefficients --------------------------------------------------------------------------------


@pytest.mark.parametrize("modulus", MODULI)
def test_coefficients_of_the_frequencies_the_constant_and_the_cross_ones_part_the_basis(modulus):
    frequencies = range(1, modulus // 2 + 1)
    counted = sum(coefficients_of(modulus, [k]).astype(int) for k in frequencies)
    assert counted.max() == 1
    np.testing.assert_array_equal(counted, coefficients_of(modulus, frequencies))
    _, frequency = basis(modulus)
    row, column = np.meshgrid(frequency, frequency, indexing="ij")
    cross = (row != column) & (row > 0) & (column > 0)
    constant = (row == 0) & (column == 0)
    np.testing.assert_array_equal(counted + cross + constant, np.ones((modulus, modulus)))


def test_a_frequency_has_eight_coefficients_and_that_of_alternating_signs_three():
    assert [coefficients_of(8, [k]).sum() for k in (1, 2, 3, 4)] == [8, 8, 8, 3]
    assert coefficients_of(8, [1, 4]).sum() == 11
    assert not coefficients_of(8, []).any()


@pytest.mark.parametrize("modulus", MODULI)
def test_projecting_on_the_coefficients_keeps_the_share_that_the_spectrum_names(modulus):
    grid = random(modulus, modulus, 3)
    grid -= grid.mean((0, 1))
    vectors, _ = basis(modulus)
    coefficient = np.einsum("ai,abd,bj->ijd", vectors, grid, vectors)
    s = spectrum(grid)
    for i, k in enumerate(s.frequencies):
        chosen = coefficient * coefficients_of(modulus, [k])[..., None]
        kept = np.einsum("ai,ijd,bj->abd", vectors, chosen, vectors)
        assert np.square(kept).sum() / np.square(grid).sum() == pytest.approx(s.fve[i])


# --- waves of the rule ---------------------------------------------------------------------------


@pytest.mark.parametrize("modulus", MODULI)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_waves_of_the_rule_are_orthonormal(modulus, sign):
    waves = [rule_waves(modulus, k, sign) for k in range(1, modulus // 2 + 1)]
    flat = np.concatenate(waves).reshape(-1, modulus**2)
    assert len(flat) == modulus - 1
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-12)
    np.testing.assert_allclose(flat.sum(1), 0, atol=1e-10)


@pytest.mark.parametrize("modulus", [4, 8, 24])
def test_the_rule_has_one_wave_at_the_frequency_of_alternating_signs(modulus):
    (wave,) = rule_waves(modulus, modulus // 2, 1)
    a = np.arange(modulus)
    np.testing.assert_allclose(wave, (-1.0) ** (a[:, None] + a) / modulus)


@pytest.mark.parametrize("modulus", [7, 8])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_waves_span_all_functions_of_the_result(modulus, sign):
    a = np.arange(modulus)
    grid = random(modulus)[(a[:, None] + sign * a) % modulus]
    waves = [rule_waves(modulus, k, sign) for k in range(1, modulus // 2 + 1)]
    flat = np.concatenate(waves).reshape(-1, modulus**2)
    centred = grid.reshape(-1) - grid.mean()
    np.testing.assert_allclose(flat.T @ (flat @ centred), centred, atol=1e-12)


@pytest.mark.parametrize(("modulus", "k"), [(23, 4), (24, 4), (24, 12)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_waves_of_a_frequency_lie_in_its_products(modulus, k, sign):
    for wave in rule_waves(modulus, k, sign):
        np.testing.assert_allclose(spectrum(wave).fve_ab, only(k, modulus), atol=1e-12)


# --- Gini coefficient ----------------------------------------------------------------------------


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


# --- grids without variance ----------------------------------------------------------------------


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


# --- entropy -------------------------------------------------------------------------------------


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


# --- what is no grid -----------------------------------------------------------------------------


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
