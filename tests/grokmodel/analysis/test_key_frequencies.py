"""Planted frequencies are found as keys and dominant frequencies, and none where there are none."""

import numpy as np
import pytest

from grokmodel.probing.fourier import spectrum
from tests.grokmodel.analysis.waves import P, random, sum_wave, wave

# --- key frequencies ------------------------------------------------------------------------------


@pytest.mark.parametrize("planted", [(5,), (1, 3, 7, 9), (2, 11)])
def test_planted_frequencies_are_found_under_noise(planted):
    phases = random(len(planted), 64, seed=1)
    grid = sum(
        np.stack([sum_wave(k, phase=phase) for phase in phases[i]], axis=-1)
        for i, k in enumerate(planted)
    )
    assert spectrum(grid + 0.3 * random(P, P, 64)).key_frequencies == planted


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
    assert s.dominant == s.key_frequencies
    assert set(s.leading[:5]) == set(s.key_frequencies)
    assert s.fve_a.sum() + s.fve_b.sum() + s.fve_ab.sum() > 0.99


def test_nine_tenths_of_the_power_that_is_not_cross_are_enough_and_needed():
    enough = np.sqrt(0.91) * sum_wave(4) + np.sqrt(0.09) * sum_wave(9)
    too_little = np.sqrt(0.89) * sum_wave(4) + np.sqrt(0.11) * sum_wave(9)
    assert spectrum(enough).key_frequencies == (4,)
    assert spectrum(too_little).key_frequencies == (4, 9)
    with_cross = too_little + 5 * np.outer(wave(1), wave(2))
    assert spectrum(with_cross).key_frequencies == (4, 9)


@pytest.mark.parametrize(("k", "m"), [(2, 5), (1, 3), (4, 11), (7, 2)])
def test_a_grid_that_is_all_cross_or_noise_has_no_key_frequencies(k, m):
    """What is left at equal frequencies is rounding, as in a constant grid."""
    s = spectrum(np.outer(wave(k, phase=0), wave(m, phase=0)))
    constant = spectrum(np.ones((P, P)))
    assert (constant.dominant, constant.leading) == ((), ())
    assert s.key_frequencies == spectrum(random(P, P, 64)).key_frequencies == ()
    assert s.entropy == constant.entropy


# --- dominant frequencies -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 5, 6, 8])
def test_the_dominant_are_key_frequencies_where_they_are_at_most_half_of_all(count):
    s = spectrum(sum(sum_wave(k) for k in range(1, count + 1)))
    assert s.dominant == tuple(range(1, count + 1))
    assert s.key_frequencies == (s.dominant if count <= 5 else ())


def test_dominant_hold_nine_tenths_of_the_power_and_one_fewer_does_not():
    for seed in range(20):
        s = spectrum(random(P, P, 3, seed=seed))
        power = dict(zip(s.frequencies.tolist(), s.fve))
        held = [power[k] for k in s.dominant]
        assert sum(held) >= 0.9 * s.fve.sum()
        assert sum(held) - min(held) < 0.9 * s.fve.sum()
        assert [power[k] for k in s.leading] == sorted(power.values(), reverse=True)
        assert set(s.dominant) == set(s.leading[: len(held)])
