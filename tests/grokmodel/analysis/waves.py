"""Waves on one operand and on the grid of both."""

import numpy as np

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


def only(frequency, modulus=P):
    """1 at one frequency, 0 at the others."""
    return (np.arange(1, modulus // 2 + 1) == frequency).astype(float)
