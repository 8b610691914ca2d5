import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from grokmodel import model
from grokmodel.analysis.sites import recorder
from grokmodel.attention import ImageTable
from grokmodel.layers import embed
from grokmodel.model import Layout, denoise, patchify, time_features, unpatchify
from grokmodel.pack import Member
from tests.grokmodel.reference import Reference
from tests.grokmodel.tiny import tiny

M, B, T, K = 3, 8, 4, 2
"""Members, triplets, noise levels and distinct operand images of a test batch: few enough for a
table to pay with two heads and four tokens an image."""

STRUCTURES = list(itertools.product(("baseline", "sandwich"), (1, 2), (1, 2), (8, 4)))
"""Variant, depth, heads, patch."""
DETAILS = list(itertools.product(("pre", "ffn", "none"), ("gelu", "swiglu"), (True, False)))
"""Norm, activation, input gate."""

BY_TABLE = pytest.mark.parametrize("by_table", [False, True])
"""Operands embedded row by row, or from the table of their images."""


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Batch:
    """Random weights of M members and a random batch each, in float64."""

    def __init__(self, shape, members=M):
        self.shape = shape
        self.layout = Layout(shape)
        self.weights = 0.2 * random(members, self.layout.n)
        self.bank = random(members, K, shape.side, shape.side, seed=1)
        generator = torch.Generator().manual_seed(5)
        self.rows = torch.randint(K, (members, B, 2), generator=generator)
        self.images = self.bank[torch.arange(members)[:, None, None], self.rows]
        self.x_t = random(members, B, shape.side, shape.side, seed=2)
        self.t = torch.sigmoid(random(members, T, seed=3))

    def predict(self, weights=None, t=None, tap=None, by_table=False):
        """Predicted images (M, B, S, S)."""
        params = self.layout.views(self.weights if weights is None else weights)
        patch = self.shape.patch
        operands = embed(params, patchify(self.images, patch)).flatten(2, 3)
        if by_table:
            operands = ImageTable(patchify(self.bank, patch), self.rows)
        tokens = patchify(self.x_t, patch)
        t = self.t if t is None else t
        return unpatchify(denoise(params, self.shape, operands, tokens, t, tap), patch)

    def reference(self, i):
        """Member i written the ordinary way."""
        return Reference(self.shape).double().load(self.layout.views(self.weights), i)

    def predict_by(self, reference, i):
        t_B = self.t[i].repeat_interleave(B // T)
        return reference(self.images[i, :, 0], self.images[i, :, 1], self.x_t[i], t_B)


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


# --- against the ordinary model ------------------------------------------------------------------


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


# --- time ----------------------------------------------------------------------------------------


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


# --- weights -------------------------------------------------------------------------------------


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


# --- patches -------------------------------------------------------------------------------------


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


# --- activation sites ----------------------------------------------------------------------------


def activations(batch, tap=None):
    """Every site's value as it was before `tap` had its way, in the order of the forward pass."""
    seen = {}
    record = recorder(seen)

    def both(name, value):
        record(name, value)
        return value if tap is None else tap(name, value)

    return seen, batch.predict(tap=both)


def replacing(site, member=slice(None), row=slice(None)):
    """A tap that writes random numbers over (a part of) one site."""

    def tap(name, value):
        if name != site:
            return value
        value = value.clone()
        value[member, row] = random(*value.shape, seed=5)[member, row]
        return value

    return tap


def sites_of_batch(**changes):
    return list(activations(Batch(tiny(**changes).shape, members=1))[0])


MANY_SITES = {"depth": 2, "heads": 2, "variant": "sandwich"}


@pytest.mark.parametrize(("variant", "depth", "heads", "patch"), STRUCTURES)
def test_a_tap_that_returns_its_argument_leaves_the_prediction_equal(variant, depth, heads, patch):
    batch = Batch(tiny(variant=variant, depth=depth, heads=heads, patch=patch).shape)
    torch.testing.assert_close(batch.predict(tap=lambda _, value: value), batch.predict())


def test_a_tap_sees_one_row_for_every_triplet():
    batch = Batch(tiny(**MANY_SITES).shape)
    assert {value.shape[:2] for value in activations(batch)[0].values()} == {(M, B)}


@pytest.mark.parametrize("patch", [8, 4])
def test_recorded_sites_fit_together(patch):
    shape = tiny(patch=patch, heads=2).shape
    batch = Batch(shape)
    sites, out = activations(batch)
    assert torch.equal(unpatchify(sites["output"], patch), out)
    weight = sites["block0.weight"]  # (M, B, C, L, H)
    torch.testing.assert_close(weight.sum(3), torch.ones_like(weight.sum(3)))
    torch.testing.assert_close(sites["block0.score"].softmax(3), weight)
    value = sites["block0.value"][:, :, None]  # (M, B, 1, L, H, E)
    torch.testing.assert_close(sites["block0.weighted_value"], weight[..., None] * value)
    mixed = sites["block0.head_output"]  # (M, B, C, H, E)
    torch.testing.assert_close(sites["block0.weighted_value"].sum(3), mixed)
    params = batch.layout.views(batch.weights)
    projected = torch.einsum("mbcd,mde->mbce", mixed.flatten(-2), params["block0.out.w"])
    expected = projected + params["block0.out.b"][:, None, None]
    torch.testing.assert_close(sites["block0.attention"], expected)


def test_query_times_key_is_the_recorded_score():
    shape = tiny(heads=2).shape
    sites, _ = activations(Batch(shape))
    product = torch.einsum("mbqhe,mbkhe->mbqkh", sites["block0.query"], sites["block0.key"])
    torch.testing.assert_close(sites["block0.score"], product / math.sqrt(shape.width / 2))


@pytest.mark.parametrize("site", sites_of_batch(**MANY_SITES))
def test_replacing_a_site_changes_the_prediction_and_nothing_before_the_site(site):
    batch = Batch(tiny(**MANY_SITES).shape)
    before, out = activations(batch)
    after, changed = activations(batch, replacing(site))
    names = list(before)
    for name in names[: names.index(site) + 1]:
        assert torch.equal(after[name], before[name]), name
    assert not torch.isclose(changed, out).all(-1).all(-1).any(), "every image depends on it"


@pytest.mark.parametrize(
    ("site", "stay"),
    [
        ("query", ["key", "value"]),
        ("key", ["value"]),
        ("value", ["score", "weight"]),
    ],
)
def test_replacing_a_site_leaves_what_does_not_follow_from_it(site, stay):
    batch = Batch(tiny(heads=2).shape)
    before, _ = activations(batch)
    after, _ = activations(batch, replacing(f"block0.{site}"))
    follow = ["weighted_value", "head_output", "attention", "ffn.pre", "ffn.post"]
    follow += [] if site == "value" else ["score", "weight"]
    for name in stay:
        assert torch.equal(after[f"block0.{name}"], before[f"block0.{name}"])
    for name in follow:
        assert not torch.isclose(after[f"block0.{name}"], before[f"block0.{name}"]).all()


@pytest.mark.parametrize("patch", [8, 4])
def test_the_model_goes_on_with_what_the_tap_returns(patch):
    """A site replaced by what it was in another batch gives that batch's values from there on."""
    batch, other = (Batch(tiny(patch=patch, heads=2).shape) for _ in range(2))
    other.images = random(*batch.images.shape, seed=7)
    wanted, _ = activations(other)
    found, _ = activations(batch, lambda n, v: wanted[n] if n == "block0.head_output" else v)
    torch.testing.assert_close(found["block0.attention"], wanted["block0.attention"])


def test_a_tap_that_replaces_the_output_gives_the_prediction():
    batch = Batch(tiny(patch=4).shape)
    value = random(M, B, 4, 16, seed=6)
    out = batch.predict(tap=lambda name, seen: value if name == "output" else seen)
    assert torch.equal(out, unpatchify(value, 4))


@pytest.mark.parametrize("site", sites_of_batch(**MANY_SITES))
def test_replacing_one_row_of_one_member_changes_that_prediction_alone(site):
    batch = Batch(tiny(**MANY_SITES).shape)
    _, out = activations(batch)
    _, changed = activations(batch, replacing(site, member=1, row=3))
    differs = ~torch.isclose(changed, out).all(-1).all(-1)
    assert differs.nonzero().tolist() == [[1, 3]]
