"""Every member is the ordinary model of its structure; fresh weights are what was asked for."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from grokmodel.image import model
from grokmodel.image.model import Layout, patchify, time_features, unpatchify
from grokmodel.image.pack import Member
from tests.grokmodel.batch import STRUCTURES, B, Batch, M, T, random
from tests.grokmodel.reference import Reference
from tests.grokmodel.tiny import tiny

DETAILS = list(itertools.product(("pre", "ffn", "none"), ("gelu", "swiglu"), (True, False)))
"""Norm, activation, input gate."""

BY_TABLE = pytest.mark.parametrize("by_table", [False, True])
"""Operands embedded row by row, or from the table of their images."""


def assert_equals_the_references(shape, members, by_table):
    batch = Batch(shape, members)
    weights = batch.weights.clone().requires_grad_()
    out = batch.predict(weights, by_table=by_table)
    towards = random(*out.shape, seed=4)
    (out * towards).sum().backward()
    gradients = batch.layout.views(weights.grad)
    for i in range(members):
        reference = batch.reference(i)
        expected = batch.predict_by(reference, i)
        torch.testing.assert_close(out[i], expected, rtol=1e-9, atol=1e-9)
        (expected * towards[i]).sum().backward()
        for name, gradient in reference.gradients().items():
            torch.testing.assert_close(gradients[name][i], gradient, rtol=1e-8, atol=1e-9)


# --- against the ordinary model -------------------------------------------------------------------


@BY_TABLE
@pytest.mark.parametrize(("variant", "depth", "heads", "patch"), STRUCTURES)
def test_a_single_member_is_the_ordinary_model_of_its_structure(
    variant, depth, heads, patch, by_table
):
    config = tiny(variant=variant, depth=depth, heads=heads, patch=patch, norm="pre")
    assert_equals_the_references(config.shape, 1, by_table)


@BY_TABLE
@pytest.mark.parametrize(("sandwich_ffn", "skip"), [(24, True), (0, False), (24, False)])
@pytest.mark.parametrize(("norm", "activation"), [("ffn", "gelu"), ("pre", "swiglu")])
def test_the_sandwich_may_have_an_ffn_of_its_own_width_and_no_way_around_it(
    sandwich_ffn, skip, norm, activation, by_table
):
    config = tiny(variant="sandwich", sandwich_ffn=sandwich_ffn, sandwich_skip=skip, heads=2,
                  norm=norm, activation=activation)  # fmt: skip
    assert_equals_the_references(config.shape, 2, by_table)


@pytest.mark.parametrize(("norm", "activation", "input_gate"), DETAILS)
@BY_TABLE
@pytest.mark.parametrize(("variant", "depth"), [("baseline", 1), ("sandwich", 2)])
def test_a_single_member_is_the_ordinary_model_in_every_detail(
    variant, depth, norm, activation, input_gate, by_table
):
    details = {"norm": norm, "activation": activation, "input_gate": input_gate}
    config = tiny(variant=variant, depth=depth, heads=2, ffn=24, **details)
    assert_equals_the_references(config.shape, 1, by_table)


@pytest.mark.parametrize("patch", [8, 4])
@BY_TABLE
@pytest.mark.parametrize(("variant", "depth"), [("baseline", 1), ("sandwich", 2)])
def test_every_member_of_several_is_its_own_ordinary_model(variant, depth, patch, by_table):
    config = tiny(variant=variant, depth=depth, heads=2, patch=patch)
    assert_equals_the_references(config.shape, M, by_table)


def test_a_member_does_not_see_the_weights_of_another():
    batch = Batch(tiny().shape)
    weights = batch.weights.clone().requires_grad_()
    batch.predict(weights)[1].sum().backward()
    assert (weights.grad[1] != 0).any()
    assert (weights.grad[[0, 2]] == 0).all()


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


@pytest.mark.parametrize("patch", [8, 4])
def test_shared_levels_are_the_same_as_repeating_them_for_every_row(patch):
    batch = Batch(tiny(patch=patch, depth=2, variant="sandwich").shape)
    repeated = batch.t.repeat_interleave(B // T, dim=1)
    torch.testing.assert_close(batch.predict(), batch.predict(t=repeated))


def test_with_the_input_gate_pure_noise_does_not_enter():
    batch = Batch(tiny(input_gate=True).shape)
    at_one = torch.ones(M, 1).double()
    before = batch.predict(t=at_one)
    batch.x_t = random(*batch.x_t.shape, seed=9)
    assert torch.equal(batch.predict(t=at_one), before)
    assert not torch.allclose(batch.predict(t=0.9 * at_one), before)


def test_above_the_level_at_which_the_gate_opens_the_noisy_input_is_not_seen():
    batch = Batch(tiny(visible_below=0.5).shape)
    above, below = batch.t.new_tensor([[0.5, 0.6, 0.9, 1.0]]), batch.t.new_tensor([[0.49]])
    before = [batch.predict(t=t.expand(M, -1)) for t in (above, below)]
    batch.x_t = random(*batch.x_t.shape, seed=9)
    assert torch.equal(batch.predict(t=above.expand(M, -1)), before[0])
    assert not torch.allclose(batch.predict(t=below.expand(M, -1)), before[1])


@pytest.mark.parametrize("visible_below", [1.0, 0.7])
@BY_TABLE
def test_a_gate_that_opens_later_is_that_of_the_ordinary_model(visible_below, by_table):
    assert_equals_the_references(tiny(heads=2, visible_below=visible_below).shape, M, by_table)


def test_time_features_tell_noise_levels_apart():
    features = time_features(torch.linspace(0, 1, 65)[None], 16)[0]
    assert features.shape == (65, 16)
    assert torch.cdist(features, features).add(torch.eye(65)).min() > 0.1
    torch.testing.assert_close(features[0], torch.tensor([1.0] * 8 + [0.0] * 8))


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
    assert torch.equal(layout.join(list(views.values())), weights)
    for name, shape in layout.entries.items():
        assert views[name].shape == (M, *shape)


def test_views_share_the_memory_of_the_weights():
    layout = Layout(tiny().shape)
    weights = torch.zeros(M, layout.n)
    for view in layout.views(weights).values():
        view += 1
    assert (weights == 1).all()


@pytest.mark.parametrize(
    "changes", [{}, {"variant": "sandwich", "depth": 2, "activation": "swiglu"}]
)
def test_the_layout_counts_the_parameters_of_the_ordinary_model(changes):
    shape = tiny(**changes).shape
    assert Layout(shape).n == sum(p.numel() for p in Reference(shape).parameters())


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


@pytest.mark.parametrize("seed", [0, 2**31 - 2])
def test_a_small_and_a_large_seed_start_a_member(seed):
    assert torch.isfinite(Member.start(tiny(seed=seed)).state.weights).all()


# --- patches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
@pytest.mark.parametrize("patch", [1, 2, 4, 8])
def test_patches_put_together_are_the_image(lead, patch):
    images = random(*lead, 8, 8)
    tokens = patchify(images, patch)
    assert tokens.shape == (*lead, (8 // patch) ** 2, patch**2)
    assert torch.equal(unpatchify(tokens, patch), images)


def test_patches_are_read_row_by_row():
    images = random(5, 8, 8)
    expected = F.unfold(images[:, None], 4, stride=4).transpose(1, 2)
    assert torch.equal(patchify(images, 4), expected)
