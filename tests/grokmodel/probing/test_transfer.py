"""Transfer of importance between models whose units are known to correspond, or not to."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from grokmodel.image.model import Layout
from grokmodel.probing.transfer import (
    HEADS,
    NEURONS,
    Units,
    alignment,
    compared,
    rank_correlation,
    transfer,
    units_of,
)
from tests.grokmodel.analysis.handmade import probe_of, random_member
from tests.grokmodel.tiny import tiny

CONFIG = {"heads": 4, "ffn": 16, "norm": "pre", "input_gate": False}
UP, BIAS, DOWN = (f"block0.ffn.{name}" for name in ("up.w", "up.b", "down.w"))


def changed(member, change):
    """The member after `change` of its named parameters."""
    other = dataclasses.replace(member, state=dataclasses.replace(member.state))
    other.state.average = member.state.average.clone()
    p = Layout(member.config.shape).views(other.state.average)
    change({name: value[0] for name, value in p.items()})
    return other


def permuted(member, order):
    """The same function with its neurons in another order."""

    def change(p):
        p[UP][:], p[BIAS][:], p[DOWN][:] = p[UP][:, order], p[BIAS][order], p[DOWN][order]

    return changed(member, change)


def made_up(states, importance_U, pairs=4, seed=0):
    """Units of states (N, d) each, whose importance is nearly the same on every pair."""
    noise = 1e-3 * np.random.default_rng(seed).standard_normal((len(states), pairs))
    return Units(states, np.asarray(importance_U)[:, None] + noise)


def random_states(n, rows=16 * 4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(n, rows, 1, generator=generator))


def test_a_copy_with_its_neurons_in_another_order_is_predicted_in_every_rank():
    member, order = random_member(tiny(**CONFIG)), torch.randperm(16)
    small, large = (probe_of(m) for m in (member, permuted(member, order)))
    mine, its = units_of(small)[NEURONS], units_of(large)[NEURONS]
    np.testing.assert_allclose(its.importance_UQ, mine.importance_UQ[order], atol=1e-5)
    weights_LS = alignment(mine.states, its.states)
    assert weights_LS.argmax(1).tolist() == order.tolist()
    np.testing.assert_allclose(weights_LS.sum(1), 1)
    for row in transfer(small, large):
        assert row.correlation == pytest.approx(1), row
        assert row.p_value <= 0.05
        assert row.correlation > row.null_q95
        assert row.r2 > 0.99


def test_a_random_alignment_predicts_nothing():
    """Same activations, importance dealt out at random: by chance as often below 0 as above."""
    rng, states = np.random.default_rng(0), random_states(40)
    found = []
    for seed in range(20):
        small, large = (made_up(states, rng.random(40), seed=seed) for _ in range(2))
        found += compared({HEADS: small, NEURONS: large}, {HEADS: large, NEURONS: small})
    assert abs(np.mean([row.correlation for row in found])) < 0.1
    assert sum(row.p_value <= 0.05 for row in found) <= 6
    assert min(row.ceiling for row in found) > 0.98


def test_a_large_unit_is_as_important_as_the_small_ones_that_it_is_made_of():
    """Two large units for each small one, at other scales, and one that is half of two."""
    states, importance = random_states(5), np.arange(5.0)
    states = [x / x.square().mean().sqrt() for x in states]
    wide = [3.0 * x for x in states] + [-0.2 * x for x in states] + [states[0] + states[4]]
    weights_LS = alignment(states, wide)
    expected = np.concatenate([importance, importance, [2.0]])
    np.testing.assert_allclose(weights_LS @ importance, expected, atol=0.05)


def test_a_head_with_several_features_is_one_unit():
    first, second = random_states(2), random_states(2, seed=1)
    small = [torch.cat(first, 1), torch.cat(second, 1)]
    mixed = [torch.cat([second[1], second[0], second[0]], 1), torch.cat([first[1]], 1)]
    np.testing.assert_allclose(alignment(small, mixed), [[0, 1], [1, 0]], atol=0.01)


def test_a_neuron_matters_as_far_as_it_is_read():
    """Neuron 3 alone is read; neuron 5 is constant, and no unit."""

    def change(p):
        p[DOWN][torch.arange(16) != 3] = 0
        p[UP][:, 5] = 0

    units = units_of(probe_of(changed(random_member(tiny(**CONFIG)), change)))[NEURONS]
    assert len(units.states) == 15
    rises_U = np.abs(units.importance_UQ).max(1)
    assert rises_U.argmax() == 3
    assert (np.delete(rises_U, 3) < 1e-6).all()


def test_widths_heads_and_depths_may_differ():
    small = probe_of(random_member(tiny(**CONFIG)))
    wide = tiny(**CONFIG | {"width": 24, "heads": 6, "ffn": 20, "depth": 2, "seed": 2})
    heads, neurons = transfer(small, probe_of(random_member(wide)))
    assert (heads.n_small, heads.n_large) == (4, 12)
    assert (neurons.n_small, neurons.n_large) == (16, 40)


def test_of_fewer_than_three_units_there_is_no_correlation():
    probe = probe_of(random_member(tiny(**CONFIG | {"heads": 2})))
    heads, neurons = transfer(probe, probe)
    assert math.isnan(heads.correlation)
    assert neurons.correlation == pytest.approx(1)


def test_rank_correlation_sees_order_only():
    x = np.array([0.1, 7.0, 2.0, 3.0])
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert rank_correlation(x, -x) == pytest.approx(-1)
    assert rank_correlation(x, np.array([1.0, 3.0, 4.0, 2.0])) == pytest.approx(0.4)
