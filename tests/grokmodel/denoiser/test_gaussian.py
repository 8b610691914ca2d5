import pytest
import torch

from grokmodel.denoiser.gaussian import Gaussian, denoise_by_images, explained
from grokmodel.diffusion import flow
from tests.grokmodel.analysis.handmade import random

X = 6


@pytest.fixture
def images():
    """Few images of unequal weight: they do not vary in all directions."""
    return random(4, X, seed=1) + 2.0, torch.tensor([1.0, 3.0, 2.0, 1.0])


def test_mean_and_covariance_are_those_of_the_weighted_images(images):
    image_IX, weight_I = images
    gaussian = Gaussian.of(image_IX, weight_I)
    repeated = image_IX.repeat_interleave(weight_I.int(), dim=0)
    torch.testing.assert_close(gaussian.mean_X, repeated.mean(0))
    assert len(gaussian.variance_K) == 3
    covariance = gaussian.axes_KX.T * gaussian.variance_K @ gaussian.axes_KX
    torch.testing.assert_close(covariance, repeated.T.cov(correction=0), atol=1e-5, rtol=1e-5)


def test_one_image_alone_is_what_is_denoised_to(images):
    gaussian = Gaussian.of(images[0][:1], torch.ones(1))
    torch.testing.assert_close(gaussian.denoise(random(5, X), 0.3), images[0][:1].expand(5, X))


def test_it_is_the_best_linear_map_of_noisy_images(images):
    gaussian, t = Gaussian.of(*images), 0.4
    size = 200_000
    clean = gaussian.mean_X + (random(size, 3) * gaussian.variance_K.sqrt()) @ gaussian.axes_KX
    noisy = (1 - t) * clean + t * random(size, X, seed=2)
    seen = torch.cat([noisy, torch.ones(size, 1)], dim=1)
    best = torch.linalg.lstsq(seen, clean).solution
    torch.testing.assert_close(seen @ best, gaussian.denoise(noisy, t), atol=0.03, rtol=0)


@pytest.mark.parametrize("t", [1.0, 0.6, 0.1])
def test_its_flow_is_where_many_small_steps_end(t, images):
    gaussian, steps = Gaussian.of(*images), 4000
    noise = x = random(5, X, seed=3)
    for k in range(steps, round(t * steps), -1):
        x = flow.euler_step(x, gaussian.denoise(x, k / steps), k)
    torch.testing.assert_close(gaussian.flow(noise, t), x, atol=2e-3, rtol=1e-3)


def test_images_that_are_all_there_is_are_told_apart_near_them_and_averaged_in_noise(images):
    image_IX, weight_I = images
    near = denoise_by_images(0.99 * image_IX, 0.01, image_IX, weight_I)
    torch.testing.assert_close(near, image_IX)
    mean = Gaussian.of(image_IX, weight_I).mean_X
    at_noise = denoise_by_images(random(3, X), 1.0, image_IX, weight_I)
    torch.testing.assert_close(at_noise, mean.expand(3, X))


def test_all_is_explained_by_itself_and_nothing_by_the_mean():
    value = random(50, X)
    assert explained(value, value) == 1
    assert explained(value, value.mean(0).expand_as(value)) == pytest.approx(0, abs=1e-6)
    assert explained(value, -value) < 0
    assert explained(torch.ones(5, X), value[:5]) != explained(torch.ones(5, X), value[:5])  # NaN
