import math

import numpy as np
import pytest
import torch

from grokmodel.analysis.learning_coefficient import (
    Langevin,
    estimate,
    learning_coefficient,
)
from grokmodel.image.family import FAMILY
from tests.grokmodel.tiny import CPU, inputs_for, tiny, train_together

SAMPLES = 10_000
CURVATURE = 4000.0
"""Far above the resolution of 40, so that a direction counts in full (40 in 4040 is lost)."""
MANY = Langevin(chains=16, steps=1200, burn_in=200, rate=0.001)
"""Small steps, many of them: the chains forget their start in 2 / (0.001 * 101) = 20 steps."""


def quadratic(h):
    """L = sum of h w^2 / 2."""

    def loss_and_grad(w_Mn, step):
        return (0.5 * h * w_Mn.square()).sum(1), h * w_Mn

    return loss_and_grad


def quartic(scale):
    """L = scale * sum of w1^2 w2^2 over pairs of neighbors: a minimum with crossing valleys."""

    def loss_and_grad(w_Mn, step):
        x, y = w_Mn.unflatten(1, (-1, 2)).unbind(-1)
        grad = torch.stack([2 * scale * x * y**2, 2 * scale * x**2 * y], dim=-1)
        return scale * (x * y).square().sum(1), grad.flatten(1)

    return loss_and_grad


def mean_llc(loss_and_grad, d, how=MANY, samples=SAMPLES, seed=0):
    rows = estimate(loss_and_grad, torch.zeros(d), samples, how, seed)
    assert len(rows) == how.chains
    return np.mean([row.llc for row in rows])


# --- known minima ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "active"), [(2, 2), (20, 20), (20, 10), (20, 1), (20, 0)])
def test_a_regular_minimum_has_half_of_its_dimensions_and_flat_ones_do_not_count(d, active):
    h = torch.zeros(d)
    h[:active] = CURVATURE
    # 16 chains of 1000 / 20 independent samples of squared normals
    error = 4 * math.sqrt(2 / (max(active, 1) * 16 * 50))
    # steps of finite size widen the chains by 1 / (1 - 0.05 / 2), the resolution takes 1 %
    assert mean_llc(quadratic(h), d) == pytest.approx(active / 2 * 1.026 * 0.99, rel=error)


def test_a_minimum_with_crossing_valleys_has_less_than_a_regular_one():
    """Pairs of directions of which at most one is felt at a time: at most 1/2 a pair, not 1."""
    singular = mean_llc(quartic(1e7), 20)
    assert 0.5 < singular < 0.75 * mean_llc(quadratic(torch.full((20,), CURVATURE)), 20)


def test_a_direction_counts_by_its_curvature_over_that_and_the_resolution():
    for curvature in (40.0, 120.0):
        how = Langevin(chains=32, steps=1000, burn_in=200, rate=0.05, resolution=40.0)
        # x -> (1 - a) x + noise: stationary, and wider than the posterior by 1 / (1 - a / 2)
        a = 0.5 * how.rate * (1 + curvature / how.resolution)
        expected = 20 / 2 * curvature / (curvature + 40) / (1 - a / 2)
        error = 4 * math.sqrt(2 / (20 * 32 * 800 * a / 2))
        found = mean_llc(quadratic(torch.full((20,), curvature)), 20, how)
        assert found == pytest.approx(expected, rel=error)


# --- rows -----------------------------------------------------------------------------------------


def rows_of(how=None, seed=0, start=0.0, offset=0.0):
    h, start = torch.full((6,), 200.0), start * torch.arange(6.0)

    def loss_and_grad(w_Mn, step):
        return offset + (0.5 * h * (w_Mn - start).square()).sum(1), h * (w_Mn - start)

    return estimate(loss_and_grad, start, SAMPLES, how or Langevin(), seed)


def test_chains_differ_by_seed_and_number_and_not_by_how_many_there_are_nor_where_they_start():
    rows = rows_of(Langevin(chains=4))
    assert [row.chain for row in rows] == [0, 1, 2, 3]
    assert len({row.llc for row in rows + rows_of(seed=30)}) == 6
    for same in (rows_of(), rows_of(start=1.5)):
        assert [r.llc for r in same] == pytest.approx([r.llc for r in rows[:2]], rel=1e-2)


def test_the_loss_at_the_start_is_taken_away():
    for row in rows_of(offset=0.5):
        assert row.loss == pytest.approx(0.5)
        n_beta = SAMPLES / math.log(SAMPLES)
        assert row.llc == pytest.approx(n_beta * (row.loss_of_chain - row.loss))
        assert (row.samples, row.resolution) == (SAMPLES, 40.0)


# --- members --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    (member,) = train_together(tiny(steps=200, eval_every=100, lr=3e-3, weight_decay=0.1))
    inputs = inputs_for(member.config)
    return member, lambda copies: FAMILY.fuse(copies, inputs, CPU)


def test_noisy_images_are_all_different(trained):
    member, _ = trained
    assert FAMILY.examples(member) == member.step * member.config.batch


def test_the_loss_of_a_member_is_its_training_loss_with_the_averaged_weights(trained):
    member, fuse = trained
    rows = learning_coefficient(member, fuse, SAMPLES, Langevin(chains=2, steps=6, burn_in=2))
    pack = fuse([member])
    average = pack.state.average
    losses = [float(pack.loss(average, torch.tensor([step]))[0]) for step in range(2, 6)]
    assert [row.loss for row in rows] == pytest.approx([np.mean(losses)] * 2, rel=1e-5)
    assert {row.samples for row in rows} == {SAMPLES}


def test_a_member_has_a_coefficient_between_nothing_and_half_of_its_parameters(trained):
    member, fuse = trained
    rows = learning_coefficient(member, fuse, SAMPLES)
    assert len(rows) == Langevin().chains
    for row in rows:
        assert 0 < row.llc < member.state.weights.shape[1] / 2
        assert row.loss_of_chain > row.loss


def test_measuring_does_not_change_the_member(trained):
    member, fuse = trained
    before = {k: v.clone() for k, v in vars(member.state).items()}
    first = learning_coefficient(member, fuse, SAMPLES, Langevin(steps=3, burn_in=1))
    assert learning_coefficient(member, fuse, SAMPLES, Langevin(steps=3, burn_in=1)) == first
    assert all(torch.equal(vars(member.state)[k], v) for k, v in before.items())
