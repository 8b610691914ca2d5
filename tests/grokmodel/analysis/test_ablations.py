"""A member whose answers are known is ablated by its own frequencies, and by no others."""

import math
from itertools import product

import numpy as np
import pytest

from grokmodel.analysis.ablations import (
    ABOVE,
    ALL,
    BELOW,
    CLEAN,
    RANDOM,
    RANDOM_DRAWS,
    TOP,
    WITHIN_SPLIT,
    ablations,
    blocked,
    leading_set,
    points_by_name,
    spectra_of,
)
from grokmodel.data.pairs import split_pairs
from grokmodel.probing.activations import collect
from grokmodel.probing.fourier import Spectrum, spectrum
from grokmodel.probing.hooks import HookPoint, last_ffn
from grokmodel.probing.probe import Shares
from grokmodel.probing.projections import KEEP, REMOVE, projecting, projecting_within_split
from tests.grokmodel.analysis.handmade import (
    decoders_of,
    follower_probe,
    probe_of,
    random_member,
    sampled,
    wave_probe,
)
from tests.grokmodel.tiny import tiny

MODES = (REMOVE, KEEP)


def accuracies(row):
    return Shares(row.train_acc, row.val_acc, row.val_acc_strict)


def right_pairs(row, config):
    """How many pairs are right in all."""
    split = split_pairs(config)
    return round(row.train_acc * len(split.train) + row.val_acc * len(split.val))


# --- which frequencies ----------------------------------------------------------------------------


def a_spectrum(*fve):
    zero = np.zeros(len(fve))
    return Spectrum(np.arange(1, len(fve) + 1), zero, zero, np.array(fve), 0.0)


def test_the_leading_set_is_the_dominant_and_where_they_are_many_also_the_leading_half():
    few = a_spectrum(0.0, 0.5, 0.0, 0.45, 0.05, 0.0)
    assert leading_set(few, "dominant frequencies") == (2, 4)
    assert leading_set(few, "half") == ()
    many = a_spectrum(0.1, 0.3, 0.12, 0.2, 0.24, 0.04)
    assert leading_set(many, "dominant frequencies") == (1, 2, 3, 4, 5)
    assert leading_set(many, "half") == (2, 4, 5)
    assert leading_set(a_spectrum(0, 0, 0, 0), "dominant frequencies") == ()
    assert leading_set(a_spectrum(0, 0, 0, 0), "half") == ()


def test_all_heads_and_both_operands_of_an_activation_are_ablated_together():
    probe = probe_of(random_member(tiny(heads=2, variant="sandwich", depth=2)))
    groups = points_by_name(probe)
    per_block = ["key", "value", "score", "attention", "ffn.pre", "ffn.post"]
    expected = ["embedding", "sandwich.ffn.pre", "sandwich.ffn.post"]
    expected += [f"block{i}.{kind}" for i in (0, 1) for kind in per_block]
    expected += ["block1.query", "output"]  # the first query sees the c-token alone
    assert sorted(groups) == sorted(expected)
    both = {HookPoint("block0.key", operand, head) for operand in "ab" for head in (0, 1)}
    assert set(groups["block0.key"]) == both
    assert groups["embedding"] == [HookPoint("embedding", "a"), HookPoint("embedding", "b")]


def test_the_spectrum_of_sites_taken_together_is_that_of_their_grids_side_by_side():
    probe = probe_of(random_member(tiny(heads=2, op="mul")))
    points = points_by_name(probe)["block0.score"]
    (found,) = spectra_of(probe, points)
    grids = {g.point: g.values for g in next(collect(probe, 1.0))}
    together = np.concatenate([grids[point] for point in points], axis=-1)
    np.testing.assert_allclose(found.fve, spectrum(probe.order.arrange(together)).fve)


# --- rows -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eleven():
    """A random member with five frequencies to choose from: probe and rows of what is ablated."""
    probe = probe_of(random_member(tiny(P=11, op="mul")))
    ((_, *rows),) = ablations(probe, decoders_of(probe))
    return probe, rows


def test_the_frequencies_listed_are_as_many_as_said_and_drawn_anew(eleven):
    probe, rows = eleven
    groups = points_by_name(probe)
    for row in rows:
        listed = tuple(int(k) for k in row.frequencies.split())
        assert len(set(listed)) == len(listed) == row.n_frequencies
        assert set(listed) <= {1, 2, 3, 4, 5}
        (found,) = spectra_of(probe, groups[row.hook])
        if row.selection == TOP:
            assert listed in [leading_set(found, s) for s in ("dominant frequencies", "half")]
        assert row.is_key == (set(listed) <= set(found.key_frequencies))
    assert len({r.frequencies for r in rows if (r.selection, r.n_frequencies) == (RANDOM, 2)}) > 1


def test_a_row_has_the_accuracies_of_samples_with_its_frequencies_projected(eleven):
    probe, rows = eleven
    decoders = decoders_of(probe)
    groups = points_by_name(probe)
    assert any(row.fit == WITHIN_SPLIT and math.isnan(row.val_acc_strict) for row in rows[::5])
    for row in rows[::5]:
        chosen = [[int(k) for k in row.frequencies.split()]]
        points = groups[row.hook]
        if row.fit == ALL:
            (expected,) = sampled(probe, decoders, 1, projecting(points, probe, chosen, row.mode))
        else:
            hook, (known,) = projecting_within_split(points, probe, chosen, row.mode)
            (expected,) = sampled(probe, decoders, 1, hook)
            expected = Shares(*(x if k == 1 else math.nan for x, k in zip(expected, known)))
        np.testing.assert_array_equal(accuracies(row), expected)


# --- members whose answers are known --------------------------------------------------------------


def test_a_rule_follower_needs_all_its_frequencies_and_nothing_else():
    probe = follower_probe()
    ((clean, *rows),) = ablations(probe, decoders_of(probe))
    assert accuracies(clean) == (1, 1, 1)
    of_all = [r for r in rows if r.n_frequencies == 3 and r.hook in ("embedding", "output")]
    assert {(r.hook, r.mode) for r in of_all} == set(product(("embedding", "output"), MODES))
    for row in of_all:
        if row.fit == ALL:
            # without any frequency all pairs get the same image, right for 7 of 49
            expected = 49 if row.mode == KEEP else 7
            assert right_pairs(row, probe.members[0].config) == expected, row


@pytest.mark.parametrize("op", ["add", "sub"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_member_that_draws_one_wave_needs_its_frequency_alone(op, k):
    probe, decoders = wave_probe(k, op)
    (rows,) = ablations(probe, decoders)
    config = probe.members[0].config
    output = [r for r in rows if r.hook == "output" and r.fit == ALL]
    assert len(output) == 2 * (1 + RANDOM_DRAWS)
    for row in output:
        needed = row.frequencies == str(k)
        assert (row.n_frequencies, row.is_key) == (1, needed)
        assert needed or row.selection == RANDOM
        expected = 49 if needed == (row.mode == KEEP) else 7
        assert right_pairs(row, config) == expected, row


@pytest.mark.parametrize("op", ["mul", "div"])
def test_pairs_outside_of_the_group_do_not_count(op):
    """They are not projected, so they would be right whatever is removed."""
    probe, decoders = wave_probe(1, op)
    (rows,) = ablations(probe, decoders)
    clean = rows[0]
    (row,) = (
        r for r in rows if (r.hook, r.mode, r.selection, r.fit) == ("output", REMOVE, TOP, ALL)
    )
    assert clean.train_acc == clean.val_acc == 1
    # the image that is left is the mean of the waves: all zero, which is symbol 0's
    assert row.train_acc == row.val_acc == 0


@pytest.mark.parametrize(
    "changes", [{}, {"heads": 2, "patch": 4, "variant": "sandwich"}, {"op": "div"}, {"N": 2}]
)
def test_every_activation_is_removed_and_kept_at_leading_random_and_own_frequencies(changes):
    probe = probe_of(random_member(tiny(**changes)))
    decoders = decoders_of(probe)
    ((clean, *rows),) = ablations(probe, decoders)
    assert (clean.hook, clean.mode, clean.n_frequencies) == ("", CLEAN, 0)
    (expected_clean,) = sampled(probe, decoders, 1)
    assert accuracies(clean) == expected_clean
    assert {r.hook for r in rows} == set(points_by_name(probe))
    cases = [
        (TOP, 0, ALL),
        (TOP, 0, WITHIN_SPLIT),
        *((RANDOM, i, ALL) for i in range(RANDOM_DRAWS)),
    ]
    found = {}
    for r in rows:
        found.setdefault((r.hook, r.n_frequencies), []).append((r.selection, r.draw, r.fit, r.mode))
    for of_set in found.values():
        assert sorted(of_set) == sorted((*case, mode) for case in cases for mode in MODES)


# --- blocked arithmetic ---------------------------------------------------------------------------


def blocked_rows(probe, decoders):
    (rows,) = blocked(probe, decoders)
    assert [row.t for row in rows] == [row.level / 4 for row in rows]
    return {
        (row.when, row.level): Shares(row.train_acc, row.val_acc, row.val_acc_strict)
        for row in rows
    }


@pytest.mark.parametrize("changes", [{}, {"N": 2}, {"op": "mul"}, {"patch": 4, "depth": 2}])
def test_a_row_of_blocking_is_a_sample_in_two_parts(changes):
    """Blocked nowhere a sample is clean, everywhere it is ablated."""
    probe = probe_of(random_member(tiny(sample_steps=4, **changes)))
    decoders = decoders_of(probe)
    rows = blocked_rows(probe, decoders)
    assert set(rows) == {(when, level) for when in (ABOVE, BELOW) for level in range(5)}
    point = last_ffn(probe.shape)
    ablate = projecting([point], probe, [spectra_of(probe, [point])[0].dominant], REMOVE)
    (clean,), (everywhere,) = (sampled(probe, decoders, 4, x) for x in (None, ablate))
    assert rows[ABOVE, 4] == rows[BELOW, 0] == clean
    assert rows[ABOVE, 0] == rows[BELOW, 4] == everywhere
    for when, level in rows:
        steps_left = [4]

        def hook(name, value, when=when, level=level, steps_left=steps_left):
            above = steps_left[0] > level  # the step starts at t = steps_left / 4
            steps_left[0] -= name == "output"
            return ablate(name, value) if above == (when == ABOVE) else value

        assert (rows[when, level],) == tuple(sampled(probe, decoders, 4, hook)), (when, level)


def test_what_is_asked_in_the_last_step_is_answered_there():
    """A member that does not look at the noisy image answers anew in every step."""
    probe = follower_probe(sample_steps=4)
    rows = blocked_rows(probe, decoders_of(probe))
    for level in range(1, 5):
        assert rows[ABOVE, level] == (1, 1, 1)
        assert rows[BELOW, level] == rows[BELOW, 4]
