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


# --- which hook points there are ------------------------------------------------------------------


# --- what a hook point may depend on --------------------------------------------------------------


@pytest.mark.parametrize("patch", [8, 4])
@pytest.mark.parametrize("point", ["embedding", "block0.key", "block0.value"])
def test_the_sites_of_an_operand_depend_on_that_operand_alone(point, patch):
    (grids,) = grids_of(random_member(tiny(patch=patch)))
    for operand, own, other in (("a", "fve_a", "fve_b"), ("b", "fve_b", "fve_a")):
        (grid,) = (g for (name, _), g in grids.items() if name == f"{point}[{operand}]")
        s = spectrum(grid)
        assert getattr(s, own).sum() == pytest.approx(1, abs=1e-6)
        assert getattr(s, other).sum() == pytest.approx(0, abs=1e-6)
        assert s.fve_ab.sum() + s.cross == pytest.approx(0, abs=1e-6)


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


def test_the_averaged_weights_are_analyzed_and_not_the_raw_ones():
    member = random_member(tiny())
    (before,) = grids_of(member)
    member.state.weights.zero_()
    (after,) = grids_of(member)
    for key, grid in after.items():
        np.testing.assert_array_equal(grid, before[key])


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
