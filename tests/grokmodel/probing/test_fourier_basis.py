"""The basis is orthonormal, and every column, coefficient and wave is at its own frequency."""

import numpy as np
import pytest

from grokmodel.probing.fourier import basis, coefficients_of, rule_waves, spectrum
from tests.grokmodel.analysis.waves import MODULI, only, random

# --- basis ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("modulus", MODULI)
def test_the_basis_is_orthonormal_and_a_column_has_the_frequency_of_its_name(modulus):
    vectors, frequency = basis(modulus)
    power = np.abs(np.fft.rfft(vectors, axis=0)) ** 2
    np.testing.assert_array_equal(power.argmax(0), frequency)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(modulus), atol=1e-12)
    others = power.sum(0) - power.max(0)
    np.testing.assert_allclose(others, 0, atol=1e-12)


# --- coefficients ---------------------------------------------------------------------------------


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


# --- waves of the rule ----------------------------------------------------------------------------


@pytest.mark.parametrize("modulus", MODULI)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_waves_are_orthonormal_and_span_all_functions_of_the_result(modulus, sign):
    a = np.arange(modulus)
    grid = random(modulus)[(a[:, None] + sign * a) % modulus]
    waves = [rule_waves(modulus, k, sign) for k in range(1, modulus // 2 + 1)]
    flat = np.concatenate(waves).reshape(-1, modulus**2)
    np.testing.assert_allclose(flat @ flat.T, np.eye(modulus - 1), atol=1e-12)
    centered = grid.reshape(-1) - grid.mean()
    np.testing.assert_allclose(flat.T @ (flat @ centered), centered, atol=1e-12)


@pytest.mark.parametrize(("modulus", "k"), [(23, 4), (24, 4), (24, 12)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_waves_of_a_frequency_lie_in_its_products(modulus, k, sign):
    for wave in rule_waves(modulus, k, sign):
        np.testing.assert_allclose(spectrum(wave).fve_ab, only(k, modulus), atol=1e-12)
