"""A hook sees every activation as it is, and the model goes on with what the hook returns."""

import math

import pytest
import torch

from grokmodel.image.model import unpatchify
from grokmodel.probing.hooks import recorder
from tests.grokmodel.batch import STRUCTURES, B, Batch, M, random
from tests.grokmodel.tiny import tiny


def activations(batch, hook=None):
    """The value of every hook point before `hook` changes it, in the order of the forward pass."""
    seen = {}
    record = recorder(seen)

    def both(name, value):
        record(name, value)
        return value if hook is None else hook(name, value)

    return seen, batch.predict(hook=both)


def replacing(point, member=slice(None), row=slice(None)):
    """A hook that writes random numbers over (a part of) one site."""

    def hook(name, value):
        if name != point:
            return value
        value = value.clone()
        value[member, row] = random(*value.shape, seed=5)[member, row]
        return value

    return hook


def points_of_batch(**changes):
    return list(activations(Batch(tiny(**changes).shape, members=1))[0])


MANY = {"depth": 2, "heads": 2, "variant": "sandwich"}


@pytest.mark.parametrize(("variant", "depth", "heads", "patch"), STRUCTURES)
def test_a_hook_that_returns_its_argument_leaves_the_prediction_equal(variant, depth, heads, patch):
    batch = Batch(tiny(variant=variant, depth=depth, heads=heads, patch=patch).shape)
    torch.testing.assert_close(batch.predict(hook=lambda _, value: value), batch.predict())


@pytest.mark.parametrize("patch", [8, 4])
def test_recorded_activations_fit_together(patch):
    shape = tiny(patch=patch, heads=2).shape
    batch = Batch(shape)
    points, out = activations(batch)
    assert torch.equal(unpatchify(points["output"], patch), out)
    weight = points["block0.weight"]  # (M, B, C, L, H)
    torch.testing.assert_close(weight.sum(3), torch.ones_like(weight.sum(3)))
    torch.testing.assert_close(points["block0.score"].softmax(3), weight)
    product = torch.einsum("mbqhe,mbkhe->mbqkh", points["block0.query"], points["block0.key"])
    torch.testing.assert_close(points["block0.score"], product / math.sqrt(shape.width / 2))
    value = points["block0.value"][:, :, None]  # (M, B, 1, L, H, E)
    torch.testing.assert_close(points["block0.weighted_value"], weight[..., None] * value)
    mixed = points["block0.head_output"]  # (M, B, C, H, E)
    torch.testing.assert_close(points["block0.weighted_value"].sum(3), mixed)
    params = batch.layout.views(batch.weights)
    projected = torch.einsum("mbcd,mde->mbce", mixed.flatten(-2), params["block0.out.w"])
    expected = projected + params["block0.out.b"][:, None, None]
    torch.testing.assert_close(points["block0.attention"], expected)


@pytest.mark.parametrize("point", points_of_batch(**MANY))
def test_replacing_a_hook_point_changes_the_prediction_and_nothing_before_it(point):
    """Of one row of one member: that prediction alone."""
    batch = Batch(tiny(**MANY).shape)
    before, out = activations(batch)
    assert before[point].shape[:2] == (M, B)
    after, changed = activations(batch, replacing(point))
    names = list(before)
    for name in names[: names.index(point) + 1]:
        assert torch.equal(after[name], before[name]), name
    assert not torch.isclose(changed, out).all(-1).all(-1).any(), "every image depends on it"
    _, changed = activations(batch, replacing(point, member=1, row=3))
    differs = ~torch.isclose(changed, out).all(-1).all(-1)
    assert differs.nonzero().tolist() == [[1, 3]]
