"""A projection removes or keeps what is at its frequencies, per member and per hook point."""

import math

import numpy as np
import pytest
import torch

from grokmodel.data.pairs import split_pairs
from grokmodel.probing.fourier import spectrum
from grokmodel.probing.hooks import HookPoint, hook_points
from grokmodel.probing.probe import Shares
from grokmodel.probing.projections import KEEP, REMOVE, projecting, projecting_own
from tests.grokmodel.analysis.handmade import probe_of, random, random_member, recorded
from tests.grokmodel.analysis.projected import OUTPUT, project, project_own
from tests.grokmodel.tiny import tiny

P = 7


def output_of(probe, seed=0):
    """A random value of the output site."""
    C = probe.shape.tokens_per_image
    return random(len(probe), probe.Q, C, probe.shape.side**2 // C, seed=seed)


PROJECT = pytest.mark.parametrize("projected", [project, project_own])


def grid(probe, value, i=0):
    """The grid of member i in the group's order."""
    return probe.order.arrange(value[i].reshape(probe.P, probe.P, -1).numpy())


def plant(probe, *waves):
    """An output whose first pixels are the given grids over the group; 0 elsewhere."""
    value = torch.zeros_like(output_of(probe))
    pairs = torch.from_numpy(probe.order.pairs.reshape(-1))
    for pixel, wave in enumerate(waves):
        value[:, pairs, 0, pixel] = torch.from_numpy(wave.reshape(-1)).float()
    return value


def waves_of(n, k):
    """Of a alone, of b alone, of the sum, of the difference, all at frequency k."""
    w = 2 * np.pi * k * np.arange(n) / n
    a, b = np.meshgrid(w, w, indexing="ij")
    return [np.cos(a + 0.3), np.sin(b + 0.2), np.cos(a + b + 0.1), np.sin(a - b)]


# --- coefficients over all pairs ------------------------------------------------------------------


@PROJECT
@pytest.mark.parametrize("op", ["add", "mul"])
@pytest.mark.parametrize("frequencies", [[2], [2, 3], []])
@pytest.mark.parametrize("mode", [REMOVE, KEEP])
def test_a_projection_done_twice_is_done_once(projected, op, frequencies, mode):
    config = tiny(op=op, P=23, train_fraction=0.5)
    probe = probe_of(random_member(config), random_member(tiny(**config.to_dict() | {"seed": 2})))
    once = projected(probe, output_of(probe), frequencies, mode)
    twice = projected(probe, once, frequencies, mode)
    torch.testing.assert_close(twice, once, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("op", ["add", "mul"])
@pytest.mark.parametrize("frequencies", [[1], [2, 3], [1, 2, 3], []])
def test_what_is_removed_and_what_is_kept_make_up_the_whole(op, frequencies):
    probe = probe_of(random_member(tiny(op=op)))
    value = output_of(probe)
    removed, kept = (project(probe, value, frequencies, mode) for mode in (REMOVE, KEEP))
    whole = grid(probe, value)
    parts = grid(probe, removed) + grid(probe, kept)
    np.testing.assert_allclose(parts, whole + whole.mean((0, 1)), atol=1e-5)


@pytest.mark.parametrize(("op", "n"), [("add", 7), ("sub", 7), ("mul", 6), ("div", 6)])
def test_planted_waves_are_removed_or_kept_by_their_frequency(op, n):
    probe = probe_of(random_member(tiny(op=op)))
    one, three = (plant(probe, *(5 + w for w in waves_of(n, k))) for k in (1, 3))
    five = plant(probe, *[np.full((n, n), 5.0)] * 4)
    both = one + three - five
    torch.testing.assert_close(project(probe, both, [1], KEEP), one, atol=1e-5, rtol=0)
    torch.testing.assert_close(project(probe, both, [1], REMOVE), three, atol=1e-5, rtol=0)
    torch.testing.assert_close(project(probe, both, [1, 3], KEEP), both, atol=1e-5, rtol=0)
    torch.testing.assert_close(project(probe, both, [1, 3], REMOVE), five, atol=1e-5, rtol=0)
    torch.testing.assert_close(project(probe, both, [2], KEEP), five, atol=1e-5, rtol=0)
    torch.testing.assert_close(project(probe, both, [2], REMOVE), both, atol=1e-5, rtol=0)


def test_products_of_unequal_frequencies_belong_to_none():
    probe = probe_of(random_member(tiny()))
    w = 2 * np.pi * np.arange(P) / P
    value = plant(probe, np.outer(np.cos(w), np.sin(2 * w)))
    kept, removed = (project(probe, value, [1, 2, 3], mode) for mode in (KEEP, REMOVE))
    torch.testing.assert_close(kept, torch.zeros_like(value), atol=1e-6, rtol=0)
    torch.testing.assert_close(removed, value, atol=1e-6, rtol=0)


@pytest.mark.parametrize("op", ["add", "mul"])
def test_the_spectrum_of_what_is_left_has_nothing_of_the_frequencies_removed(op):
    probe = probe_of(random_member(tiny(op=op)))
    removed, kept = (project(probe, output_of(probe), [2], mode) for mode in (REMOVE, KEEP))
    assert spectrum(grid(probe, removed)).fve[1] == pytest.approx(0, abs=1e-9)
    assert spectrum(grid(probe, kept)).fve[1] == pytest.approx(1)


@PROJECT
def test_pairs_that_are_not_in_the_group_stay_as_they_are(projected):
    probe = probe_of(random_member(tiny(op="mul")))
    value = output_of(probe)
    outside = np.setdiff1d(np.arange(P**2), probe.order.pairs)
    assert len(outside) == 13
    changed = projected(probe, value, [1], REMOVE)
    assert torch.equal(changed[:, outside], value[:, outside])
    assert not torch.isclose(changed, value).all()


@PROJECT
def test_every_member_has_its_own_frequencies(projected):
    members = [random_member(tiny(seed=s)) for s in (1, 2)]
    together = probe_of(*members)
    value = output_of(together)
    hooks = {
        project: lambda p, f: projecting([OUTPUT], p, f, KEEP),
        project_own: lambda p, f: projecting_own([OUTPUT], p, f, KEEP)[0],
    }
    chosen = [[1], [2, 3]]
    found = hooks[projected](together, chosen)("output", value)
    for i, member in enumerate(members):
        alone = hooks[projected](probe_of(member), chosen[i : i + 1])("output", value[i : i + 1])
        torch.testing.assert_close(found[i : i + 1], alone)


@PROJECT
def test_only_the_sites_named_are_projected(projected):
    config = tiny(heads=2, patch=4, variant="sandwich", P=5)
    probe = probe_of(random_member(config))
    point = HookPoint("block0.value", "b", 1)
    make = {project: projecting, project_own: lambda *x: projecting_own(*x)[0]}[projected]
    hook = make([point], probe, [[1]], REMOVE)
    for name, value in recorded(probe).items():
        changed = hook(name, value)
        if name != point.name:
            assert torch.equal(changed, value)
        else:
            differs = ~torch.isclose(changed, value)
            assert point.view(differs, probe.shape).any()
            assert differs.sum() == point.view(differs, probe.shape).sum()


def test_a_site_of_one_operand_is_left_alone_by_keeping_every_frequency():
    probe = probe_of(random_member(tiny(heads=2, patch=4, P=5)))
    one_operand = [s for s in hook_points(probe.shape) if s.kind in ("embedding", "key", "value")]
    assert len(one_operand) == 10
    hook = projecting(one_operand, probe, [[1, 2]], KEEP)
    seen = recorded(probe)
    for name in {point.name for point in one_operand}:
        torch.testing.assert_close(hook(name, seen[name]), seen[name], rtol=1e-4, atol=1e-5)


# --- coefficients of each side --------------------------------------------------------------------


def sides_of(config):
    """Numbers of the training pairs, the held-out pairs whose mirror trains, the strict pairs."""
    split = split_pairs(config)
    parts = (split.train, split.val[~split.strict], split.val[split.strict])
    return [part @ (config.P, 1) for part in parts]


@pytest.mark.parametrize("mode", [REMOVE, KEEP])
@pytest.mark.parametrize("side", [0, 1, 2])
def test_a_side_does_not_depend_on_the_values_of_another(mode, side):
    config = tiny(P=11)
    probe = probe_of(random_member(config))
    value, other = output_of(probe), output_of(probe, seed=1)
    mine = sides_of(config)[side]
    assert len(mine) > 10
    other[:, mine] = value[:, mine]
    found, expected = (project_own(probe, x, [2], mode) for x in (other, value))
    torch.testing.assert_close(found[:, mine], expected[:, mine])
    leaking, leaked = (project(probe, x, [2], mode) for x in (other, value))
    assert not torch.isclose(leaking[:, mine], leaked[:, mine]).any()


@pytest.mark.parametrize("op", ["add", "mul"])
def test_within_a_side_the_fit_is_that_of_least_squares(op):
    config = tiny(P=11, op=op)
    probe = probe_of(random_member(config))
    value, n, k = output_of(probe), probe.order.n, 2
    w = 2 * np.pi * k * np.arange(n) / n
    a, b = (x.reshape(-1) for x in np.meshgrid(w, w, indexing="ij"))
    columns = [np.ones(n * n), *(f(x) for f in (np.cos, np.sin) for x in (a, b, a + b, a - b))]
    position = {number: i for i, number in enumerate(probe.order.pairs.reshape(-1))}
    removed, kept = (project_own(probe, value, [k], mode)[0, :, 0] for mode in (REMOVE, KEEP))
    for side in sides_of(config):
        mine = [q for q in side if q in position]
        x = np.stack(columns, axis=1)[[position[q] for q in mine]]
        y = value[0, mine, 0].double().numpy()
        fit = np.linalg.lstsq(x, y, rcond=None)[0]
        np.testing.assert_allclose(kept[mine], x @ fit, atol=1e-4)
        np.testing.assert_allclose(removed[mine], y - x[:, 1:] @ fit[1:], atol=1e-4)


def test_a_wave_over_all_pairs_is_the_same_wave_on_every_side():
    probe = probe_of(random_member(tiny(P=11)))
    value = plant(probe, *(5 + w for w in waves_of(11, 3)))
    five = plant(probe, *[np.full((11, 11), 5.0)] * 4)
    torch.testing.assert_close(project_own(probe, value, [3], KEEP), value, atol=1e-4, rtol=0)
    torch.testing.assert_close(project_own(probe, value, [3], REMOVE), five, atol=1e-4, rtol=0)


def known(config, frequencies):
    _, (found,) = projecting_own([OUTPUT], probe_of(random_member(config)), [frequencies], KEEP)
    return [not math.isnan(x) for x in found]


def test_an_accuracy_is_known_where_each_coefficient_has_two_pairs_of_its_side():
    config = tiny(P=11, train_fraction=0.6)
    sizes = [len(side) for side in sides_of(config)]
    assert sizes == [73, 19, 29], "1 frequency needs 18 pairs of a side, 2 need 34, 5 need 82"
    assert known(config, [1]) == [True, True, True]
    assert known(config, [1, 2]) == [True, False, False]
    assert known(config, [1, 2, 3, 4, 5]) == [False, False, False]


def test_an_unordered_split_has_accuracies_of_its_own_fit():
    """It has no held-out pair whose mirror trains; that side has nothing to fit."""
    config = tiny(P=23, train_fraction=0.5, split="unordered")
    probe = probe_of(random_member(config))
    _, (known,) = projecting_own([HookPoint("output")], probe, [[1]], KEEP)
    assert known == Shares(1.0, 1.0, 1.0)
