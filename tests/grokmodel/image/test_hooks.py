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


def sites_of_batch(**changes):
    return list(activations(Batch(tiny(**changes).shape, members=1))[0])


MANY_SITES = {"depth": 2, "heads": 2, "variant": "sandwich"}


@pytest.mark.parametrize(("variant", "depth", "heads", "patch"), STRUCTURES)
def test_a_tap_that_returns_its_argument_leaves_the_prediction_equal(variant, depth, heads, patch):
    batch = Batch(tiny(variant=variant, depth=depth, heads=heads, patch=patch).shape)
    torch.testing.assert_close(batch.predict(hook=lambda _, value: value), batch.predict())


def test_a_tap_sees_one_row_for_every_triplet():
    batch = Batch(tiny(**MANY_SITES).shape)
    assert {value.shape[:2] for value in activations(batch)[0].values()} == {(M, B)}


@pytest.mark.parametrize("patch", [8, 4])
def test_recorded_sites_fit_together(patch):
    shape = tiny(patch=patch, heads=2).shape
    batch = Batch(shape)
    points, out = activations(batch)
    assert torch.equal(unpatchify(points["output"], patch), out)
    weight = points["block0.weight"]  # (M, B, C, L, H)
    torch.testing.assert_close(weight.sum(3), torch.ones_like(weight.sum(3)))
    torch.testing.assert_close(points["block0.score"].softmax(3), weight)
    value = points["block0.value"][:, :, None]  # (M, B, 1, L, H, E)
    torch.testing.assert_close(points["block0.weighted_value"], weight[..., None] * value)
    mixed = points["block0.head_output"]  # (M, B, C, H, E)
    torch.testing.assert_close(points["block0.weighted_value"].sum(3), mixed)
    params = batch.layout.views(batch.weights)
    projected = torch.einsum("mbcd,mde->mbce", mixed.flatten(-2), params["block0.out.w"])
    expected = projected + params["block0.out.b"][:, None, None]
    torch.testing.assert_close(points["block0.attention"], expected)


def test_query_times_key_is_the_recorded_score():
    shape = tiny(heads=2).shape
    points, _ = activations(Batch(shape))
    product = torch.einsum("mbqhe,mbkhe->mbqkh", points["block0.query"], points["block0.key"])
    torch.testing.assert_close(points["block0.score"], product / math.sqrt(shape.width / 2))


@pytest.mark.parametrize("point", sites_of_batch(**MANY_SITES))
def test_replacing_a_site_changes_the_prediction_and_nothing_before_the_site(point):
    batch = Batch(tiny(**MANY_SITES).shape)
    before, out = activations(batch)
    after, changed = activations(batch, replacing(point))
    names = list(before)
    for name in names[: names.index(point) + 1]:
        assert torch.equal(after[name], before[name]), name
    assert not torch.isclose(changed, out).all(-1).all(-1).any(), "every image depends on it"


@pytest.mark.parametrize(
    ("point", "stay"),
    [
        ("query", ["key", "value"]),
        ("key", ["value"]),
        ("value", ["score", "weight"]),
    ],
)
def test_replacing_a_site_leaves_what_does_not_follow_from_it(point, stay):
    batch = Batch(tiny(heads=2).shape)
    before, _ = activations(batch)
    after, _ = activations(batch, replacing(f"block0.{point}"))
    follow = ["weighted_value", "head_output", "attention", "ffn.pre", "ffn.post"]
    follow += [] if point == "value" else ["score", "weight"]
    for name in stay:
        assert torch.equal(after[f"block0.{name}"], before[f"block0.{name}"])
    for name in follow:
        assert not torch.isclose(after[f"block0.{name}"], before[f"block0.{name}"]).all()


@pytest.mark.parametrize("patch", [8, 4])
def test_the_model_goes_on_with_what_the_tap_returns(patch):
    """A hook point patched with its value in another batch gives that batch's values after it."""
    batch, other = (Batch(tiny(patch=patch, heads=2).shape) for _ in range(2))
    other.images = random(*batch.images.shape, seed=7)
    wanted, _ = activations(other)
    found, _ = activations(batch, lambda n, v: wanted[n] if n == "block0.head_output" else v)
    torch.testing.assert_close(found["block0.attention"], wanted["block0.attention"])


def test_a_tap_that_replaces_the_output_gives_the_prediction():
    batch = Batch(tiny(patch=4).shape)
    value = random(M, B, 4, 16, seed=6)
    out = batch.predict(hook=lambda name, seen: value if name == "output" else seen)
    assert torch.equal(out, unpatchify(value, 4))


@pytest.mark.parametrize("point", sites_of_batch(**MANY_SITES))
def test_replacing_one_row_of_one_member_changes_that_prediction_alone(point):
    batch = Batch(tiny(**MANY_SITES).shape)
    _, out = activations(batch)
    _, changed = activations(batch, replacing(point, member=1, row=3))
    differs = ~torch.isclose(changed, out).all(-1).all(-1)
    assert differs.nonzero().tolist() == [[1, 3]]
