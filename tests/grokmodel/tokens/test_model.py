"""The fused model is the ordinary one, whose gradients it has too."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from grokmodel.tokens.model import HOOK_POINTS, Layout, forward
from tests.grokmodel.tokens.reference import Reference
from tests.grokmodel.tokens.tiny import tiny

M, Q = 3, 11
"""Members and pairs of a test batch."""
STRUCTURES = list(itertools.product((1, 2, 4), ("relu", "gelu")))
"""Heads and activation."""


class Batch:
    """Random weights of M members and random pairs of each, in float64."""

    def __init__(self, **changes):
        self.shape = tiny(**changes).shape
        self.layout = Layout(self.shape)
        generator = torch.Generator().manual_seed(0)
        self.weights = 0.5 * torch.randn(M, self.layout.n, generator=generator, dtype=torch.float64)
        self.pairs = torch.randint(self.shape.P, (M, Q, 2), generator=generator)
        self.target = torch.randint(self.shape.P, (M, Q), generator=generator)

    def predict(self, weights=None, hook=None):
        params = self.layout.views(self.weights if weights is None else weights)
        return forward(params, self.shape, *self.pairs.unbind(2), hook)

    def reference(self, i):
        return Reference(self.shape).double().load(self.layout.views(self.weights), i)


def keep(name, value):
    return value


@pytest.mark.parametrize("hook", [None, keep])
@pytest.mark.parametrize(("heads", "activation"), STRUCTURES)
def test_logits_and_gradients_are_those_of_the_ordinary_model(heads, activation, hook):
    batch = Batch(heads=heads, activation=activation)
    weights = batch.weights.clone().requires_grad_()
    logits = batch.predict(weights, hook)
    F.cross_entropy(logits.flatten(0, 1), batch.target.flatten(), reduction="sum").backward()
    gradients = batch.layout.views(weights.grad)
    for i in range(M):
        reference = batch.reference(i)
        expected = reference(*batch.pairs[i].unbind(1))
        torch.testing.assert_close(logits[i], expected)
        F.cross_entropy(expected, batch.target[i], reduction="sum").backward()
        for name, gradient in reference.gradients().items():
            torch.testing.assert_close(gradients[name][i], gradient, msg=name)


def test_weights_start_as_in_the_paper():
    layout = Layout(tiny(P=101, width=64, ffn=256).shape)
    params = layout.views(layout.init(seed=3, scale=2.0)[None])
    for name, value in params.items():
        assert value.shape == (1, *layout.entries[name])
        if name.endswith(".b"):
            assert not value.any()
        else:
            expected = 2 / math.sqrt(102 if name == "unembed.w" else 64)
            assert abs(value.std() / expected - 1) < 4 / math.sqrt(2 * value.numel()), name
            assert abs(value.mean()) < 4 * expected / math.sqrt(value.numel()), name
    assert torch.equal(layout.init(3, 2.0), layout.init(3, 2.0))
    assert not torch.equal(layout.init(3, 2.0), layout.init(4, 2.0))


def test_the_matrices_are_those_inside_the_block():
    layout = Layout(tiny().shape)
    row = torch.arange(layout.n)
    params = layout.views(row[None])
    inside = [
        params[f"block0.{n}.w"][0] for n in ("query", "key", "value", "out", "ffn.up", "ffn.down")
    ]
    found = [row[start : start + r * c].view(r, c) for start, r, c in layout.matrices]
    for matrix, expected in zip(found, inside, strict=True):
        assert torch.equal(matrix, expected)


# --- hooks ----------------------------------------------------------------------------------------


def activations(batch, hook=keep):
    """The value of every hook point before `hook` changes it, and the logits."""
    seen = {}

    def record(name, value):
        seen[name] = value
        return hook(name, value)

    return seen, batch.predict(hook=record)


def test_recorded_activations_fit_together():
    batch = Batch()
    p, D, H = batch.layout.views(batch.weights), batch.shape.width, batch.shape.heads
    points, out = activations(batch)
    assert tuple(points) == HOOK_POINTS
    assert torch.equal(points["output"], out)
    embedding = points["embedding"]
    for i, position in enumerate(batch.pairs.unbind(2)):
        for m in range(M):
            expected = p["embed.w"][m, position[m]] + p["position"][m, i]
            torch.testing.assert_close(embedding[m, :, i], expected)
    assert points["block0.weight"].shape == (M, Q, 3, H)
    torch.testing.assert_close(points["block0.score"].softmax(2), points["block0.weight"])
    value = torch.einsum("mqtd,mde->mqte", embedding, p["block0.value.w"]).unflatten(3, (H, -1))
    mixed = (points["block0.weight"][..., None] * value).sum(2)
    assert mixed.shape == (M, Q, H, D // H)
    torch.testing.assert_close(points["block0.head_output"], mixed)
    torch.testing.assert_close(points["block0.attention"], mixed.flatten(2) @ p["block0.out.w"])
    residual = embedding[:, :, 2] + points["block0.attention"]
    pre = residual @ p["block0.ffn.up.w"] + p["block0.ffn.up.b"][:, None]
    torch.testing.assert_close(points["block0.ffn.pre"], pre)
    torch.testing.assert_close(points["block0.ffn.post"], pre.relu())


@pytest.mark.parametrize("point", HOOK_POINTS)
def test_replacing_a_hook_point_of_a_pair_changes_its_logits_and_nothing_before_it(point):
    batch = Batch()
    before, out = activations(batch)

    def hook(name, value):
        if name == point:
            value = value.clone()
            value[1, 3] = torch.linspace(1, 2, value[1, 3].numel()).view_as(value[1, 3])
        return value

    after, changed = activations(batch, hook)
    for name in HOOK_POINTS[: HOOK_POINTS.index(point) + 1]:
        assert torch.equal(after[name], before[name]), name
    differs = ~torch.isclose(changed, out).all(-1)
    assert differs.nonzero().tolist() == [[1, 3]]
