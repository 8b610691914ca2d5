"""Every member is the ordinary model of its structure; fresh weights are what was asked for."""

import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from grokmodel.image import model
from grokmodel.image.config import ACTIVATIONS, NORMS
from grokmodel.image.model import Layout, patchify, unpatchify
from tests.grokmodel.batch import STRUCTURES, Batch, M, random
from tests.grokmodel.tiny import tiny


def assert_equals_the_references(shape, members, by_table):
    batch = Batch(shape, members)
    weights = batch.weights.clone().requires_grad_()
    out = batch.predict(weights, by_table=by_table)
    toward = random(*out.shape, seed=4)
    (out * toward).sum().backward()
    gradients = batch.layout.views(weights.grad)
    for i in range(members):
        reference = batch.reference(i)
        expected = batch.predict_by(reference, i)
        torch.testing.assert_close(out[i], expected, rtol=1e-9, atol=1e-9)
        (expected * toward[i]).sum().backward()
        for name, gradient in reference.gradients().items():
            torch.testing.assert_close(gradients[name][i], gradient, rtol=1e-8, atol=1e-9)


# --- against the ordinary model -------------------------------------------------------------------


def structures():
    """Changes of a config, and members."""
    for variant, depth, heads, patch in STRUCTURES:
        shape = {"variant": variant, "depth": depth, "heads": heads, "patch": patch}
        yield shape | {"norm": "pre"}, 1
        if heads == 2:
            yield shape, M
    for norm, activation, gate in product(NORMS, ACTIVATIONS, (True, False)):
        details = {"norm": norm, "activation": activation, "input_gate": gate, "ffn": 24}
        yield details | {"heads": 2}, 1
        yield details | {"heads": 2, "variant": "sandwich", "depth": 2}, 1
    for width, skip, norm in product((24, 0), (True, False), ("ffn", "pre")):
        own = {"variant": "sandwich", "sandwich_ffn": width, "sandwich_skip": skip, "norm": norm}
        yield own | {"heads": 2, "activation": "gelu" if norm == "ffn" else "swiglu"}, 2
    yield {"heads": 2, "visible_below": 0.7}, M
    yield {"heads": 2, "norm": "pre", "time_embedding": "mlp", "adaln_zero": True}, M
    for depth, variant in product((1, 2), ("baseline", "sandwich")):
        own = {"qk_norm": True, "position": "rotary", "patch": 4, "adaln_zero": True}
        yield own | {"heads": 2, "depth": depth, "variant": variant}, 2


@pytest.mark.parametrize("by_table", [False, True], ids=["by row", "by table"])
@pytest.mark.parametrize(("changes", "members"), list(structures()))
def test_every_member_is_the_ordinary_model_of_its_structure(changes, members, by_table):
    """Operands embedded row by row, or from the table of their images."""
    assert_equals_the_references(tiny(**changes).shape, members, by_table)


def test_a_table_of_many_tokens_is_not_multiplied_with(monkeypatch):
    """Scores with 64 tokens of 16 heads would cost more than the keys that they replace."""

    def refuse(*args):
        raise AssertionError("multiplied with the table")

    monkeypatch.setattr(model, "attend_to_table", refuse)
    batch = Batch(tiny(patch=2, heads=16).shape)
    torch.testing.assert_close(batch.predict(by_table=True), batch.predict())
    with pytest.raises(AssertionError, match="with the table"):
        Batch(tiny().shape).predict(by_table=True)


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("visible_below", "above"), [(1.0, [1.0]), (0.5, [0.5, 0.6, 0.9, 1.0])])
def test_above_the_level_at_which_the_gate_opens_the_noisy_input_is_not_seen(visible_below, above):
    batch = Batch(tiny(visible_below=visible_below).shape)
    above, below = (torch.tensor([t]).double().expand(M, -1) for t in (above, [0.49]))
    before = [batch.predict(t=t) for t in (above, below)]
    batch.x_t = random(*batch.x_t.shape, seed=9)
    assert torch.equal(batch.predict(t=above), before[0])
    assert not torch.allclose(batch.predict(t=below), before[1])


def test_fresh_weights_give_time_no_say():
    shape = tiny(input_gate=False).shape
    batch = Batch(shape, members=1)
    fresh = Layout(shape).init(0, 1.0)[None].double()
    early, late = (batch.predict(fresh, torch.full((1, 1), t).double()) for t in (0.1, 0.9))
    torch.testing.assert_close(early, late)


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"variant": "sandwich", "depth": 2, "activation": "swiglu"}]
)
def test_views_and_join_are_inverse(changes):
    layout = Layout(tiny(**changes).shape)
    weights = random(M, layout.n)
    views = layout.views(weights)
    joined = torch.cat([part.flatten(1) for part in views.values()], dim=1)
    assert torch.equal(joined, weights)
    for name, shape in layout.entries.items():
        assert views[name].shape == (M, *shape)
        views[name].zero_()
    assert not weights.any(), "views, no copies"


def test_fresh_weights_have_the_spread_asked_for():
    scale = 0.7
    layout = Layout(tiny(width=96, ffn=200, variant="sandwich", side=16, patch=4).shape)
    fresh = layout.views(layout.init(5, scale)[None])
    for name, p in fresh.items():
        if name.endswith((".b", "mod.w")):
            assert (p == 0).all()
        else:
            fan_in = layout.entries[name][1 if name == "position" else 0]
            error = 5 / math.sqrt(2 * p.numel())
            assert p.std() * math.sqrt(fan_in) / scale == pytest.approx(1, abs=error)


def test_fresh_weights_depend_on_the_seed_alone():
    layout = Layout(tiny().shape)
    first = layout.init(1, 0.5)
    torch.randn(3)
    assert torch.equal(layout.init(1, 0.5), first)
    assert not torch.equal(layout.init(2, 0.5), first)
    torch.testing.assert_close(layout.init(1, 1.0), 2 * first)


# --- patches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
@pytest.mark.parametrize("patch", [1, 2, 4, 8])
def test_patches_are_read_row_by_row_and_put_together_are_the_image(lead, patch):
    images = random(*lead, 8, 8)
    tokens = patchify(images, patch)
    expected = F.unfold(images.view(-1, 1, 8, 8), patch, stride=patch).transpose(1, 2)
    assert torch.equal(tokens, expected.reshape(*lead, (8 // patch) ** 2, patch**2))
    assert torch.equal(unpatchify(tokens, patch), images)
