import math

import pytest
import torch

from grokmodel.core import noise

LARGE = 1_000_000
"""Draws of a statistical check; its bound is five standard errors."""


def column(*values):
    return torch.tensor(values, dtype=torch.int64)


def uniform_draws(rows=LARGE, seed=3, stream=1, step=5):
    return noise.uniform(column(seed), stream, column(step), rows)[0].double()


def normal_draws(rows=1000, columns=1000, seed=3, stream=1, step=5):
    return noise.normal(column(seed), stream, column(step), rows, columns)[0].double()


def correlation(x, y):
    return float(torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1])


def largest_gap(values, cdf):
    """Kolmogorov and Smirnov's statistic times sqrt(n); above 1.95 once in a thousand times."""
    n = values.numel()
    theory = cdf(values.flatten().sort().values)
    empirical = torch.arange(n) / n
    gap = torch.maximum((theory - empirical).abs().max(), (theory - empirical - 1 / n).abs().max())
    return float(gap) * math.sqrt(n)


# --- a pure function ------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [noise.uniform, lambda *at: noise.normal(*at, columns=9)])
def test_a_member_draws_the_same_alone_and_anywhere_in_a_pack(draw):
    seeds, steps = (5, 0, 123_456_789, 5), (0, 7, 7, 9)
    together = draw(column(*seeds), 3, column(*steps), 20)
    backwards = draw(column(*seeds[::-1]), 3, column(*steps[::-1]), 20)
    assert torch.equal(together, backwards.flip(0))
    assert torch.equal(together[:, :10], draw(column(*seeds), 3, column(*steps), 10))
    for i, (seed, step) in enumerate(zip(seeds, steps)):
        assert torch.equal(together[i], draw(column(seed), 3, column(step), 20)[0])


def test_draws_neither_use_nor_change_the_global_generator():
    torch.manual_seed(1)
    first = normal_draws(10, 10)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(normal_draws(10, 10), first)
    assert torch.equal(torch.get_rng_state(), before)


# --- distribution ---------------------------------------------------------------------------------


def test_uniform_has_the_moments_and_the_law_of_its_name():
    u = uniform_draws()
    error = 5 / math.sqrt(LARGE)
    assert abs(u.mean() - 1 / 2) < error * math.sqrt(1 / 12)
    assert abs(u.var() - 1 / 12) < error * math.sqrt(1 / 180)
    assert largest_gap(u, lambda x: x) < 1.95


def test_normal_has_the_moments_and_the_law_of_its_name():
    x = normal_draws()
    error = 5 / math.sqrt(LARGE)
    assert abs(x.mean()) < error
    assert abs(x.var() - 1) < error * math.sqrt(2)
    assert abs((x**3).mean()) < error * math.sqrt(15)
    assert abs((x**4).mean() - 3) < error * math.sqrt(96)
    assert largest_gap(x, torch.special.ndtr) < 1.95


def test_uniform_is_strictly_inside_the_unit_interval_for_every_word():
    extreme = noise._unit(torch.tensor([-(2**31), -1, 0, 2**31 - 1], dtype=torch.int32))
    assert (extreme > 0).all()
    assert (extreme < 1).all()
    u = uniform_draws()
    assert u.min() > 0
    assert u.max() < 1


# --- independence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"seed": 4}, {"stream": 2}, {"step": 6}])
def test_other_seeds_streams_and_steps_are_uncorrelated(change):
    bound = 5 / math.sqrt(LARGE)
    assert abs(correlation(uniform_draws(), uniform_draws(**change))) < bound
    assert abs(correlation(normal_draws(), normal_draws(**change))) < bound
    assert abs(correlation(normal_draws() ** 2, normal_draws(**change) ** 2)) < bound


def test_a_later_step_is_no_shift_of_an_earlier_one():
    now, later = uniform_draws(2000), uniform_draws(2000, step=6)
    assert not set(now.tolist()) >= set(later[:50].tolist())
    assert max(abs(correlation(now[k:], later[: 2000 - k])) for k in range(20)) < 5 / math.sqrt(
        1900
    )


@pytest.mark.parametrize("draws", [normal_draws(60, 40_000), normal_draws(40_000, 60).T])
def test_rows_and_columns_are_uncorrelated_with_each_other(draws):
    for values in (draws, draws**2):
        off = torch.corrcoef(values) - torch.eye(60)
        assert off.abs().max() < 5 / math.sqrt(40_000)


def test_the_streams_of_the_program_are_all_different():
    names = [n for n in vars(noise) if n.startswith(("TRAIN_", "EVAL_", "SITE_"))]
    assert len(names) >= 9
    assert len({getattr(noise, n) for n in names}) == len(names)
