import math

import pytest
import torch

from grokmodel.core import noise
from grokmodel.diffusion import flow

SPREAD = 0.6
"""Standard deviation of the Gaussian data with a known denoiser."""


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian_denoiser(x, t):
    """E[x_0 | x_t] for x_0 ~ N(0, SPREAD^2)."""
    signal = (1 - t) * SPREAD**2
    return (signal / ((1 - t) * signal + t**2))[..., None] * x


def gaussian_flow(x, t_start):
    """Where the exact ODE takes x from t_start: each quantile of x_t keeps its rank."""
    return x * SPREAD / math.sqrt((1 - t_start) ** 2 * SPREAD**2 + t_start**2)


def times(mean, std, uniform, levels=100_000):
    """Of one member, beside another of the other distribution."""
    seed, step = torch.tensor([1, 1]), torch.tensor([2, 2])
    each = ([mean, 0.0], [std, 1.0], [uniform, not uniform])
    u = noise.uniform(seed, noise.TRAIN_TIME, step, levels)
    return flow.training_times(u, *map(torch.tensor, each))[0].double()


# --- path -----------------------------------------------------------------------------------------


def test_the_path_is_straight_from_data_to_noise_and_a_level_belongs_to_neighboring_rows():
    x0, eps = random(2, 6, 5), random(2, 6, 5, seed=1)
    t = torch.tensor([[0.0, 0.2, 1.0], [0.4, 0.5, 0.9]]).double()
    found = flow.interpolate(x0, eps, t)
    rows = t[:, [0, 0, 1, 1, 2, 2], None]
    torch.testing.assert_close(found, (1 - rows) * x0 + rows * eps)
    assert torch.equal(found[0, :2], x0[0, :2])
    assert torch.equal(found[0, 4:], eps[0, 4:])


# --- training times -------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (2.0, 1.0), (-1.0, 0.5), (3.0, 2.0)])
def test_logit_normal_times_have_the_mean_and_spread_of_their_name(mean, std):
    t = times(mean, std, uniform=False)
    assert ((t > 0) & (t < 1)).all()
    logit = torch.log(t / (1 - t))
    assert t.median() == pytest.approx(1 / (1 + math.exp(-mean)), abs=0.01)
    assert logit.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(len(t)))
    assert logit.std() == pytest.approx(std, rel=0.02)


def test_uniform_times_fill_the_unit_interval_evenly():
    t = times(3.0, 2.0, uniform=True)
    share = torch.histc(t, 10, 0, 1) / len(t)
    assert ((t > 0) & (t < 1)).all()
    assert (share - 0.1).abs().max() < 5 * math.sqrt(0.09 / len(t))


# --- loss -----------------------------------------------------------------------------------------


def test_the_loss_is_the_squared_error_of_the_image_or_of_the_velocity():
    x0, eps, guess = (random(2, 8, 5, seed=k) for k in range(3))
    t = torch.rand(2, 4, generator=torch.Generator().manual_seed(0)).double() * 0.8 + 0.2
    rows = t.repeat_interleave(2, dim=1)[..., None]
    x_t = flow.interpolate(x0, eps, t)
    of_velocity = ((x_t - guess) / rows - (eps - x0)).square().mean((1, 2))
    clip = torch.full((2,), 0.05).double()
    torch.testing.assert_close(flow.loss_per_member(guess, x0, t, clip), of_velocity)
    of_image = ((guess - x0) ** 2).mean((1, 2))
    torch.testing.assert_close(flow.loss_per_member(guess, x0, t, None), of_image)


def test_below_its_clip_the_velocity_loss_divides_by_the_clip():
    x0, guess = random(2, 8, 5), random(2, 8, 5, seed=1)
    t = torch.full((2, 1), 0.001).double()
    clip = torch.tensor([0.05, 0.5]).double()
    of_image = flow.loss_per_member(guess, x0, t, None)
    torch.testing.assert_close(flow.loss_per_member(guess, x0, t, clip), of_image / clip**2)


# --- sampling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50])
def test_with_a_perfect_denoiser_any_number_of_steps_gives_the_data_exactly(steps):
    x0, eps = random(2, 6, 5).float(), random(2, 6, 5, seed=1).float()
    assert torch.equal(flow.sample(lambda x, t: x0, eps, steps), x0)


@pytest.mark.parametrize("t_start", [1.0, 0.5])
def test_many_steps_converge_to_the_exact_flow_at_first_order(t_start):
    x = random(1, 6, 5)
    exact = gaussian_flow(x, t_start)
    error = [
        (flow.sample(gaussian_denoiser, x, n, t_start) - exact).abs().max() for n in (100, 200)
    ]
    assert error[1] < 0.02 * exact.abs().max()
    assert error[0] / error[1] == pytest.approx(2, rel=0.1)
