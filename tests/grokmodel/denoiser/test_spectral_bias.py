import numpy as np
import pytest

from grokmodel.denoiser.spectral_bias import LEVELS_T, _rows, exponent, spectral_bias, step_below
from tests.grokmodel.analysis.handmade import (
    lookup_config,
    probe_of,
    random_member,
    rule_follower,
)
from tests.grokmodel.tiny import synthetic_bank

STEPS = np.array([0, 10, 20, 40, 80, 160])


def test_the_step_is_interpolated_in_its_logarithm():
    assert step_below(STEPS, np.array([1, 1, 0.9, 0.1, 0, 0]), 0.5) == pytest.approx(20 * 2**0.5)
    assert step_below(STEPS, np.array([1, 0, 0, 0, 0, 0]), 0.5) == pytest.approx(5)
    assert np.isnan(step_below(STEPS, np.ones(6), 0.5))


@pytest.mark.parametrize("power", [-1.0, -0.3, 0.0])
def test_a_power_law_is_found_and_lies_in_its_interval(power):
    variance = np.geomspace(40, 1, 20)
    scatter = np.exp(0.05 * np.random.default_rng(0).standard_normal(20))
    found, low, high = exponent(variance, 100 * variance**power * scatter, seed=0)
    assert found == pytest.approx(power, abs=0.05)
    assert low <= found <= high
    assert high - low < 0.2


def test_components_that_are_never_learned_do_not_count():
    variance = np.geomspace(40, 1, 12)
    steps = 100 / variance
    steps[-3:] = np.nan
    assert exponent(variance, steps, seed=0)[0] == pytest.approx(-1)
    steps[4:] = np.nan
    assert np.isnan(exponent(variance, steps, seed=0)).all()


def test_gradient_descent_on_a_linear_map_has_an_exponent_of_minus_one():
    variance = np.geomspace(30, 1, 10)
    steps = np.concatenate([[0], np.geomspace(1, 4096, 60)])
    error_SK = variance * np.exp(-2e-2 * steps[:, None] * variance)
    rows = _rows(0.5, variance, steps, error_SK, seed=0)
    assert [row.component for row in rows] == list(range(1, 11))
    assert rows[0].exponent == pytest.approx(-1, abs=0.02)
    assert rows[0].step_half == pytest.approx(np.log(2) / (2e-2 * 30), rel=0.1)


def test_without_snapshots_before_it_is_learned_there_is_no_exponent():
    variance = np.geomspace(30, 1, 10)
    error_SK = np.stack([variance, 0.1 * variance, 0 * variance])
    rows = _rows(0.5, variance, np.array([0, 250, 500]), error_SK, seed=0)
    assert all(row.step_half < 250 for row in rows)
    assert all(np.isnan(row.exponent) for row in rows)


def test_the_last_snapshot_has_the_rows_of_its_trial():
    trial = lookup_config(input_gate=False)
    bank = synthetic_bank(trial.P, trial.N, trial.side)
    start, end = random_member(trial, 0.1), rule_follower(trial, bank)
    end.state.step.fill_(20)
    probe = probe_of(start, end)
    of_start, rows = spectral_bias(probe, [1, 1])
    assert of_start == []
    assert len(rows) == len(LEVELS_T) * (trial.P - 1)
    for row in rows:
        assert row.final_error < 1e-3
        assert row.step_half < 20
    variances = [row.variance for row in rows if row.t == 1]
    assert variances == sorted(variances, reverse=True)
