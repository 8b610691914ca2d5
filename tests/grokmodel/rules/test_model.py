"""Who sees whom, and that pixel by pixel is the same as all at once."""

import math

import pytest
import torch

from grokmodel.rules.config import PIXELS
from grokmodel.rules.model import Cache, Layout, denoise, next_logit, next_logits
from tests.grokmodel.rules.tiny import tiny

M, B = 2, 3


def random_params(shape, seed=0):
    layout = Layout(shape)
    generator = torch.Generator().manual_seed(seed)
    weights = 0.4 * torch.randn(M, layout.n, generator=generator, dtype=torch.float64)
    return layout.views(weights)


def random_bits(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, (M, B, PIXELS), generator=generator).double()


@pytest.mark.parametrize("depth", [1, 2])
def test_a_pixel_is_predicted_from_those_before_it_alone(depth):
    shape = tiny(model="autoregressive", depth=depth).shape
    p, bits = random_params(shape), random_bits()
    before = next_logits(p, shape, bits)
    for place in (0, 7, 34):
        changed = bits.clone()
        changed[..., place] = 1 - changed[..., place]
        moved = ~torch.isclose(next_logits(p, shape, changed), before).all(0).all(0)
        assert not moved[: place + 1].any()
        assert moved[place + 1 :].all()


@pytest.mark.parametrize("depth", [1, 2])
def test_pixel_by_pixel_has_the_logits_of_all_at_once(depth):
    shape = tiny(model="autoregressive", depth=depth).shape
    p, bits = random_params(shape), random_bits()
    cache, sign, logits = Cache(), torch.zeros(M, B, dtype=torch.float64), []
    for place in range(PIXELS):
        logits.append(next_logit(p, shape, sign, place, cache))
        sign = 2 * bits[..., place] - 1
    torch.testing.assert_close(torch.stack(logits, 2), next_logits(p, shape, bits))


@pytest.mark.parametrize("pixels", [1, 6])
def test_a_flow_sees_all_pixels_and_its_time(pixels):
    shape = tiny(depth=2, pixels_per_token=pixels).shape
    p, x = random_params(shape), random_bits()
    t = torch.full((M, B), 0.3, dtype=torch.float64)
    before = denoise(p, shape, x, t)
    for place in (0, 35):
        changed = x.clone()
        changed[..., place] += 1
        assert (denoise(p, shape, changed, t) != before).all()
    later = t.clone()
    later[:, 1] = 0.9
    moved = (denoise(p, shape, x, later) != before).all(2)
    assert moved.tolist() == [[False, True, False]] * M
    one = t[:, :1]  # one noise level for all images
    torch.testing.assert_close(denoise(p, shape, x, one), before)


@pytest.mark.parametrize("model", ["flow", "autoregressive"])
def test_members_share_nothing(model):
    shape = tiny(model=model).shape
    p, x = random_params(shape), random_bits()
    t = torch.full((M, B), 0.5, dtype=torch.float64)

    def predict(params, some, times):
        return (
            denoise(params, shape, some, times)
            if model == "flow"
            else next_logits(params, shape, some)
        )

    both = predict(p, x, t)
    for i in range(M):
        mine = {name: value[i : i + 1] for name, value in p.items()}
        torch.testing.assert_close(predict(mine, x[i : i + 1], t[i : i + 1])[0], both[i])


@pytest.mark.parametrize(("pixels", "fan_in_of_pixels"), [(9, 9), (1, 64)])
def test_weights_start_as_declared(pixels, fan_in_of_pixels):
    layout = Layout(tiny(width=64, heads=4, ffn=256, pixels_per_token=pixels).shape)
    params = layout.views(layout.init(seed=3, scale=2.0)[None])
    for name, value in params.items():
        if name.endswith(("mod.w", ".b")):
            assert not value.any(), name
        else:
            fan_in = {"block0.ffn.down.w": 256, "embed.w": fan_in_of_pixels}.get(name, 64)
            expected = 2 / math.sqrt(fan_in)
            assert abs(value.std() / expected - 1) < 4 / math.sqrt(2 * value.numel()), name


def test_the_matrices_are_those_inside_the_blocks():
    layout = Layout(tiny(depth=2).shape)
    row = torch.arange(layout.n)
    params = layout.views(row[None])
    names = ("query", "key", "value", "out", "ffn.up", "ffn.down")
    inside = [params[f"block{i}.{n}.w"][0] for i in (0, 1) for n in names]
    found = [row[start : start + r * c].view(r, c) for start, r, c in layout.matrices]
    for matrix, expected in zip(found, inside, strict=True):
        assert torch.equal(matrix, expected)
