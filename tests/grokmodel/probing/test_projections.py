"""A projection removes or keeps what is at its frequencies, per member and per hook point."""

import math

import numpy as np
import pytest
import torch

from grokmodel.data.pairs import split_pairs
from grokmodel.probing.hooks import HookPoint, hook_points
from grokmodel.probing.probe import shares
from grokmodel.probing.projections import KEEP, REMOVE, projecting, projecting_within_split
from tests.grokmodel.analysis.handmade import (
    memorizer_table,
    probe_of,
    random,
    random_member,
    recorded,
    rule_table,
)
from tests.grokmodel.tiny import decoders_for, tiny

P = 7


def output_of(probe, seed=0):
    """A random value of the output site."""
    C = probe.shape.tokens_per_image
    return random(len(probe), probe.Q, C, probe.shape.side**2 // C, seed=seed)


OUTPUT = HookPoint("output")


def project(probe, value, frequencies, mode):
    """`value` of the output, projected with equal frequencies for all members."""
    return projecting([OUTPUT], probe, [frequencies] * len(probe), mode)("output", value)


def project_within_split(probe, value, frequencies, mode):
    hook, _ = projecting_within_split([OUTPUT], probe, [frequencies] * len(probe), mode)
    return hook("output", value)


HOOKS = {project: projecting, project_within_split: lambda *args: projecting_within_split(*args)[0]}
PROJECT = pytest.mark.parametrize("projected", HOOKS)


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


@PROJECT
def test_every_member_has_its_own_frequencies(projected):
    members = [random_member(tiny(seed=s)) for s in (1, 2)]
    together = probe_of(*members)
    value, chosen = output_of(together), [[1], [2, 3]]
    found = HOOKS[projected]([OUTPUT], together, chosen, KEEP)("output", value)
    for i, member in enumerate(members):
        hook = HOOKS[projected]([OUTPUT], probe_of(member), chosen[i : i + 1], KEEP)
        torch.testing.assert_close(found[i : i + 1], hook("output", value[i : i + 1]))


@PROJECT
def test_only_the_hook_points_named_are_projected(projected):
    config = tiny(heads=2, patch=4, variant="sandwich", P=5)
    probe = probe_of(random_member(config))
    point = HookPoint("block0.value", "b", 1)
    hook = HOOKS[projected]([point], probe, [[1]], REMOVE)
    for name, value in recorded(probe).items():
        differs = ~torch.isclose(hook(name, value), value)
        if name == point.name:
            assert point.view(differs, probe.shape).any()
            point.view(differs, probe.shape).fill_(False)
        assert not differs.any()


def test_a_site_of_one_operand_is_left_alone_by_keeping_every_frequency():
    probe = probe_of(random_member(tiny(heads=2, patch=4, P=5)))
    one_operand = [s for s in hook_points(probe.shape) if s.kind in ("embedding", "key", "value")]
    assert len(one_operand) == 10
    hook = projecting(one_operand, probe, [[1, 2]], KEEP)
    seen = recorded(probe)
    for name in {point.name for point in one_operand}:
        torch.testing.assert_close(hook(name, seen[name]), seen[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("op", "n"), [("add", 7), ("sub", 7), ("mul", 6), ("div", 6), ("add", 11)])
def test_planted_waves_are_removed_or_kept_by_their_frequency(op, n):
    """Products of unequal frequencies belong to none."""
    probe = probe_of(random_member(tiny(op=op, P=11 if n == 11 else 7)))
    one, three = (plant(probe, *(5 + w for w in waves_of(n, k))) for k in (1, 3))
    five = plant(probe, *[np.full((n, n), 5.0)] * 4)
    w = 2 * np.pi * np.arange(n) / n
    crossed = plant(probe, np.outer(np.cos(w), np.sin(2 * w)))
    both = one + three - five + crossed
    for mode, frequencies, expected in (
        (KEEP, [1], one),
        (REMOVE, [1], three + crossed),
        (KEEP, [1, 3], one + three - five),
        (REMOVE, [1, 3], five + crossed),
        (KEEP, [2], five),
        (REMOVE, [2], both),
    ):
        found = project(probe, both, frequencies, mode)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    if n == 11:  # with pairs enough it is the same wave on every side
        torch.testing.assert_close(
            project_within_split(probe, three, [3], KEEP), three, atol=1e-4, rtol=0
        )
        torch.testing.assert_close(
            project_within_split(probe, three, [3], REMOVE), five, atol=1e-4, rtol=0
        )


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
    found, expected = (project_within_split(probe, x, [2], mode) for x in (other, value))
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
    removed, kept = (
        project_within_split(probe, value, [k], mode)[0, :, 0] for mode in (REMOVE, KEEP)
    )
    for side in sides_of(config):
        mine = [q for q in side if q in position]
        x = np.stack(columns, axis=1)[[position[q] for q in mine]]
        y = value[0, mine, 0].double().numpy()
        fit = np.linalg.lstsq(x, y, rcond=None)[0]
        np.testing.assert_allclose(kept[mine], x @ fit, atol=1e-4)
        np.testing.assert_allclose(removed[mine], y - x[:, 1:] @ fit[1:], atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "sizes", "frequencies", "known"),
    [
        # 1 frequency needs 18 pairs of a side, 2 need 34, 5 need 82
        ({"train_fraction": 0.6}, [73, 19, 29], [1], (True, True, True)),
        ({"train_fraction": 0.6}, [73, 19, 29], [1, 2], (True, False, False)),
        ({"train_fraction": 0.6}, [73, 19, 29], [1, 2, 3, 4, 5], (False, False, False)),
        # no held-out pair whose mirror trains; that side has nothing to fit
        ({"train_fraction": 0.5, "split": "unordered"}, [59, 0, 62], [1], (True, True, True)),
    ],
)
def test_an_accuracy_is_known_where_each_coefficient_has_two_pairs_of_its_side(
    changes, sizes, frequencies, known
):
    config = tiny(P=11, **changes)
    assert [len(side) for side in sides_of(config)] == sizes
    _, (found,) = projecting_within_split(
        [OUTPUT], probe_of(random_member(config)), [frequencies], KEEP
    )
    assert tuple(not math.isnan(x) for x in found) == known


# --- the projection leak --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memorized():
    """A probe over a large grid, and the output of a member that draws the
    right images for its training pairs and wrong ones for all others."""
    config = tiny(P=23, train_fraction=0.65, split="unordered")
    probe = probe_of(random_member(config))
    table = torch.from_numpy(memorizer_table(config)).reshape(-1)
    return probe, probe.templates()[:, table][:, :, None]


def accuracies(probe, value):
    (found,) = shares(probe.right(value.flatten(2), decoders_for(probe.banks)), probe)
    return found


@pytest.mark.parametrize("left_out", [(), (4,), (4, 9)])
def test_keeping_most_frequencies_makes_a_memorizer_right_over_all_pairs_but_not_by_sides(
    memorized, left_out
):
    probe, value = memorized
    assert accuracies(probe, value) == (1, 0, 0)
    frequencies = [k for k in range(1, 12) if k not in left_out]
    assert accuracies(probe, project(probe, value, frequencies, KEEP)).strict > 0.9
    hook, (can,) = projecting_within_split([OUTPUT], probe, [frequencies], KEEP)
    assert (can.train, can.strict) == (1, 1), "there are pairs enough to say so"
    found = accuracies(probe, hook("output", value))
    assert found.strict < 1 / 23
    assert found.train > 0.95


def test_on_each_side_apart_one_that_knows_the_rule_stays_right(memorized):
    probe, _ = memorized
    table = torch.from_numpy(rule_table(probe.members[0].config)).reshape(-1)
    value = probe.templates()[:, table][:, :, None]
    assert accuracies(probe, value) == (1, 1, 1)
    assert accuracies(probe, project_within_split(probe, value, range(1, 12), KEEP)) == (1, 1, 1)
