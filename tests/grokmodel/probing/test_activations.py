import numpy as np
import pytest
import torch

from grokmodel.image.model import Layout
from grokmodel.probing.activations import collect, mean_activations
from grokmodel.probing.fourier import spectrum
from grokmodel.probing.hooks import NO_HEAD
from tests.grokmodel.analysis.handmade import probe_of, random_member, recorded
from tests.grokmodel.tiny import banks_for, tiny

P = 7


def grids_of(*members, t=0.5):
    """One {(label, head): grid} a member."""
    found = collect(probe_of(*members), t)
    return [{(g.point.label, g.point.head): g.values for g in grids} for grids in found]


def symmetric(member):
    """The member, made blind to which operand comes first."""
    for rows in (member.state.weights, member.state.average):
        position = Layout(member.config.shape).views(rows)["position"]
        C = member.config.tokens_per_image
        position[:, C : 2 * C] = position[:, :C]
    return member


SITES_OF_ONE_OPERAND = ["embedding", "block0.key", "block0.value"]


# --- which hook points there are ------------------------------------------------------------------


def test_every_site_has_a_grid_for_each_head_and_operand():
    (grids,) = grids_of(random_member(tiny(heads=2)))
    both = {f"{point}[{x}]" for point in ("key", "value", "score", "weighted_value") for x in "ab"}
    per_head = {f"block0.{point}" for point in both | {"query", "head_output"}}
    whole = {"embedding[a]", "embedding[b]", "block0.attention", "output"}
    whole |= {"block0.ffn.pre", "block0.ffn.post"}
    expected = {(s, h) for s in per_head for h in (0, 1)} | {(s, NO_HEAD) for s in whole}
    assert set(grids) == expected


@pytest.mark.parametrize("patch", [8, 4])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_grid_has_the_features_of_its_site(patch, depth):
    config = tiny(heads=2, patch=patch, depth=depth, ffn=24, variant="sandwich")
    (grids,) = grids_of(random_member(config))
    C, E = config.tokens_per_image, config.width // 2
    d = {
        "embedding[a]": C * config.width,
        "sandwich.ffn.pre[b]": C * 24,
        "block0.key[b]": C * E,
        "block0.query": C * E,
        "block0.score[a]": C * C,
        "block0.weighted_value[b]": C * C * E,
        "block0.head_output": C * E,
        f"block{depth - 1}.attention": C * config.width,
        f"block{depth - 1}.ffn.post": C * 24,
        "output": config.side**2,
    }
    found = {point: grid.shape for (point, _), grid in grids.items()}
    for point, features in d.items():
        assert found[point] == (P, P, features), point
    assert all(np.isfinite(grid).all() for grid in grids.values())


# --- what a hook point may depend on --------------------------------------------------------------


@pytest.mark.parametrize("patch", [8, 4])
@pytest.mark.parametrize("point", SITES_OF_ONE_OPERAND)
def test_the_sites_of_an_operand_depend_on_that_operand_alone(point, patch):
    (grids,) = grids_of(random_member(tiny(patch=patch)))
    for operand, own, other in (("a", "fve_a", "fve_b"), ("b", "fve_b", "fve_a")):
        (grid,) = (g for (name, _), g in grids.items() if name == f"{point}[{operand}]")
        s = spectrum(grid)
        assert getattr(s, own).sum() == pytest.approx(1, abs=1e-6)
        assert getattr(s, other).sum() == pytest.approx(0, abs=1e-6)
        assert s.fve_ab.sum() + s.cross == pytest.approx(0, abs=1e-6)


def test_the_output_depends_on_both_operands():
    (grids,) = grids_of(random_member(tiny()), t=1.0)
    s = spectrum(grids["output", NO_HEAD])
    assert s.fve_a.sum() > 0.01
    assert s.fve_b.sum() > 0.01


def test_with_the_input_gate_the_query_of_pure_noise_is_the_same_for_all_pairs():
    (grids,) = grids_of(random_member(tiny(input_gate=True)), t=1.0)
    query = grids["block0.query", 0]
    np.testing.assert_allclose(query, np.broadcast_to(query[:1, :1], query.shape), atol=1e-5)


@pytest.mark.parametrize("variant", ["baseline", "sandwich"])
def test_a_model_blind_to_order_has_symmetric_grids(variant):
    (grids,) = grids_of(symmetric(random_member(tiny(variant=variant))), t=1.0)
    for point in ("output", "block0.attention", "block0.ffn.pre", "block0.ffn.post"):
        grid = grids[point, NO_HEAD]
        np.testing.assert_allclose(grid, grid.swapaxes(0, 1), atol=1e-4)
    for point in ("key", "value", "score", "weighted_value"):
        of_a, of_b = (grids[f"block0.{point}[{x}]", 0] for x in "ab")
        np.testing.assert_allclose(of_a, of_b.swapaxes(0, 1), atol=1e-4)


def test_a_model_that_sees_order_has_no_symmetric_output():
    (grids,) = grids_of(random_member(tiny()), t=1.0)
    grid = grids["output", NO_HEAD]
    assert np.abs(grid - grid.swapaxes(0, 1)).max() > 0.01 * np.abs(grid).max()


def test_the_grid_at_a_b_belongs_to_the_operands_a_and_b():
    """The embedding is linear in the image, so its differences are known from the bank."""
    config = tiny()
    member = random_member(config)
    (grids,) = grids_of(member)
    seen = torch.from_numpy(next(iter(banks_for(config).values())).standardized).flatten(1)
    embed = Layout(config.shape).views(member.state.average)["embed.w"][0]
    expected = ((seen - seen[0]) @ embed).numpy()
    of_a, of_b = (grids[f"embedding[{x}]", NO_HEAD] for x in "ab")
    for other in range(P):
        np.testing.assert_allclose(of_a[:, other] - of_a[0, other], expected, atol=1e-4)
        np.testing.assert_allclose(of_b[other, :] - of_b[other, 0], expected, atol=1e-4)


# --- members --------------------------------------------------------------------------------------


def test_grids_of_a_member_do_not_depend_on_its_pack_mates():
    configs = [tiny(seed=1), tiny(seed=2), tiny(seed=3, N=2), tiny(seed=4, split="unordered")]
    members = [random_member(c) for c in configs]
    together = grids_of(*members)
    for member, expected in zip(members, together):
        (alone,) = grids_of(member)
        assert set(alone) == set(expected)
        for key, grid in alone.items():
            np.testing.assert_allclose(grid, expected[key], rtol=1e-3, atol=1e-3)


def test_the_averaged_weights_are_analysed_and_not_the_raw_ones():
    member = random_member(tiny())
    (before,) = grids_of(member)
    member.state.weights.zero_()
    (after,) = grids_of(member)
    for key, grid in after.items():
        np.testing.assert_array_equal(grid, before[key])


def test_the_noise_level_matters():
    member = random_member(tiny())
    (clean,), (noisy,) = (grids_of(member, t=t) for t in (0.0, 1.0))
    assert np.abs(clean["output", NO_HEAD] - noisy["output", NO_HEAD]).max() > 1e-3


# --- averages over draws --------------------------------------------------------------------------


@pytest.mark.parametrize(("N", "t"), [(1, 0.5), (2, 0.0), (2, 1.0)])
def test_a_mean_activation_is_the_mean_over_draws_of_images_and_noise(N, t):
    probe = probe_of(random_member(tiny(N=N)))
    draws = [mean_activations(probe, t, draws=k)["output"] for k in (1, 2, 4)]
    torch.testing.assert_close(recorded(probe, t)["output"], draws[0])
    assert not torch.allclose(draws[1], draws[0])
    second = 2 * draws[1] - draws[0]
    assert not torch.allclose(second, draws[0])
    rest = (4 * draws[2] - 2 * draws[1]) / 2
    assert (rest - draws[1]).std() < (second - draws[0]).std()


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_what_is_certain_is_not_drawn_again(t):
    probe = probe_of(random_member(tiny(N=1, input_gate=True)))
    one, four = (mean_activations(probe, t, draws=k) for k in (1, 4))
    assert all(torch.equal(one[name], four[name]) for name in one)


def test_only_the_activations_asked_for_are_kept():
    probe = probe_of(random_member(tiny()))
    assert set(mean_activations(probe, 0.5, ["output", "block0.key"])) == {"output", "block0.key"}
