"""The formulas against gradient descent on the model that they are derived from."""

import dataclasses

import numpy as np
import pytest
import torch

from grokmodel.parity.theory import Interaction

TAU_H1, TAU_H2, TAU_Y = 2.0, 3.0, 1.5
TAU_H = 1 / (1 / TAU_H1 + 1 / TAU_H2)
STEP = 0.02


def descend(h, maps_N, targets_N2, time):
    """||dh||^2 over time, by gradient descent on L = 1/2 <(mean_i + D_i (h_a - h_b) / 2 - y*)^2>
    (eq. 3), where states and outputs are numbers: then movement along dh is all there is."""
    h, D, target = (torch.tensor(x, dtype=torch.float64) for x in (h, maps_N, targets_N2))
    mean = target.mean(1)
    trace = []
    for _ in range(round(time / STEP)):
        trace.append(float((h[1] - h[0]) ** 2))
        leaves = [x.detach().requires_grad_() for x in (h, D)]
        dh = leaves[0][1] - leaves[0][0]
        output = torch.stack([mean - leaves[1] * dh / 2, mean + leaves[1] * dh / 2], dim=1)
        loss = (output - target).square().mean() / 2
        grad_h, grad_D = torch.autograd.grad(loss, leaves)
        h = h - STEP * grad_h / torch.tensor([TAU_H1, TAU_H2], dtype=torch.float64)
        D = D - STEP * grad_D / TAU_Y
    return np.array(trace)


def interaction(h, maps_N, targets_N2):
    dh2 = (h[1] - h[0]) ** 2
    maps, targets = np.array(maps_N), np.array(targets_N2)
    return Interaction(
        dh2=dh2,
        dy2=float((maps**2).mean() * dh2),
        target2=float(((targets[:, 1] - targets[:, 0]) ** 2).mean()),
        futures=len(maps),
        tau_h=TAU_H,
        tau_y=TAU_Y,
    )


AGREE, DIFFER = [[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("h", "maps", "targets", "merges"),
    [
        ((0.0, 0.5), (1.0, -0.8), AGREE, True),
        ((0.0, 0.9), (0.2, 0.3), AGREE, False),
        ((0.0, 0.5), (1.0, -0.8), DIFFER, False),
        ((0.0, 0.9), (0.2, 0.3), [[1.0, 0.0], [0.0, 0.0]], False),
    ],
)
def test_the_final_distance_is_where_gradient_descent_ends(h, maps, targets, merges):
    theory = interaction(h, maps, targets)
    trace = descend(h, maps, targets, time=100)
    # the ansatz of the derivation: maps of two futures need not stay in proportion
    assert trace[-1] == pytest.approx(theory.final_dh2, abs=1e-2)
    assert theory.merges == merges
    assert (theory.final_dh2 < 1e-9) == merges


@pytest.mark.parametrize(("h", "maps"), [((0.0, 0.5), (1.0, -0.8)), ((0.0, 0.9), (0.2, 0.3))])
def test_two_states_that_agree_approach_as_eq_35_has_it(h, maps):
    theory = interaction(h, maps, AGREE)
    trace = descend(h, maps, AGREE, time=20)
    expected = [theory.agreeing_dh2(STEP * k) for k in range(len(trace))]
    np.testing.assert_allclose(trace, expected, rtol=2e-2, atol=1e-5)
    assert theory.agreeing_dh2(0) == pytest.approx(theory.dh2)
    assert theory.agreeing_dh2(1e6) == pytest.approx(theory.final_dh2)


def test_the_three_numbers_flow_to_the_final_distance_and_keep_a_high():
    """From maps that point the right way: else dh would pass 0, where eq. 4 has no value."""
    maps, targets = np.array([-1.0, 0.8]), np.array(DIFFER)
    theory = interaction((0.0, 0.5), maps, DIFFER)
    dy = maps * 0.5
    x, y = theory.dh2, theory.dy2
    w = float((dy**2 - dy * (targets[:, 1] - targets[:, 0])).mean())
    for _ in range(10_000):
        dx, dy2, dw = theory.derivative(x, y, w)
        x, y, w = x + STEP * dx, y + STEP * dy2, w + STEP * dw
    assert x == pytest.approx(theory.final_dh2, rel=1e-2)
    assert x - theory.ratio * y / x == pytest.approx(theory.a_high, rel=2e-2)
    assert w == pytest.approx(0, abs=1e-3)


def test_a_pair_at_the_border_approaches_like_one_over_time():
    border = Interaction(dh2=0.5, dy2=0.25, target2=0.0, futures=1, tau_h=1.0, tau_y=1.0)
    assert border.a_high == 0
    assert border.agreeing_dh2(4.0) == pytest.approx(0.5 / (1 + 0.5 * 0.5 * 4))
    with pytest.raises(ValueError, match="target2 is 1"):
        Interaction(0.5, 0.25, 1.0, 1, 1.0, 1.0).agreeing_dh2(1.0)


def test_at_the_critical_rates_a_high_changes_its_sign():
    pair = Interaction(dh2=0.3, dy2=0.02, target2=0.0, futures=7, tau_h=2.0, tau_y=1.0)
    slower, faster = (
        dataclasses.replace(pair, tau_y=factor * pair.critical_rates * pair.tau_h)
        for factor in (0.99, 1.01)
    )
    assert (slower.merges, faster.merges) == (False, True)
    assert dataclasses.replace(pair, dy2=0.0).critical_rates == float("inf")
