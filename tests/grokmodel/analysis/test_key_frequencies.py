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
    assert s.dominant == s.key_frequencies
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


# --- dominant frequencies -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_few_dominant_are_the_key_frequencies(count):
    s = spectrum(sum(sum_wave(k) for k in range(1, count + 1)))
    assert s.dominant == s.key_frequencies == tuple(range(1, count + 1))


@pytest.mark.parametrize("count", [6, 8])
def test_many_dominant_are_no_key_frequencies(count):
    s = spectrum(sum(sum_wave(k) for k in range(1, count + 1)))
    assert s.dominant == tuple(range(1, count + 1))
    assert s.key_frequencies == ()


def test_dominant_hold_nine_tenths_of_the_power_and_one_fewer_does_not():
    for seed in range(20):
        s = spectrum(random(P, P, 3, seed=seed))
        power = dict(zip(s.frequencies.tolist(), s.fve))
        held = [power[k] for k in s.dominant]
        assert sum(held) >= 0.9 * s.fve.sum()
        assert sum(held) - min(held) < 0.9 * s.fve.sum()
        assert min(held) >= max((power[k] for k in power if k not in s.dominant), default=0)


def test_frequencies_lead_in_the_order_of_their_power():
    s = spectrum(sum_wave(2) + 3 * sum_wave(7) + 2 * sum_wave(5))
    assert s.leading[:3] == (7, 5, 2)
    assert sorted(s.leading) == s.frequencies.tolist()


def test_a_constant_grid_has_no_dominant():
    s = spectrum(np.ones((P, P)))
    assert (s.dominant, s.leading) == ((), ())
