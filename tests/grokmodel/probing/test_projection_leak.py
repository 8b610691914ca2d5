"""Projected over all pairs a memoriser is right; projected on each side apart it is not."""

import pytest
import torch

from grokmodel.probing.probe import shares
from grokmodel.probing.projections import KEEP, projecting_own
from tests.grokmodel.analysis.handmade import memoriser_table, probe_of, random_member, rule_table
from tests.grokmodel.analysis.projected import OUTPUT, project, project_own
from tests.grokmodel.tiny import decoders_for, tiny


@pytest.fixture(scope="module")
def memorised():
    """A probe over a large grid, and the output of a member that draws the
    right images for its training pairs and wrong ones for all others."""
    config = tiny(P=23, train_fraction=0.65, split="unordered")
    probe = probe_of(random_member(config))
    table = torch.from_numpy(memoriser_table(config)).reshape(-1)
    return probe, probe.templates()[:, table][:, :, None]


def accuracies(probe, value):
    (found,) = shares(probe.right(value.flatten(2), decoders_for(probe.banks)), probe)
    return found


@pytest.mark.parametrize("left_out", [(), (4,), (4, 9)])
def test_keeping_most_frequencies_makes_a_memoriser_right_over_all_pairs_but_not_by_sides(
    memorised, left_out
):
    probe, value = memorised
    assert accuracies(probe, value) == (1, 0, 0)
    frequencies = [k for k in range(1, 12) if k not in left_out]
    assert accuracies(probe, project(probe, value, frequencies, KEEP)).strict > 0.9
    hook, (can,) = projecting_own([OUTPUT], probe, [frequencies], KEEP)
    assert (can.train, can.strict) == (1, 1), "there are pairs enough to say so"
    found = accuracies(probe, hook("output", value))
    assert found.strict < 1 / 23
    assert found.train > 0.95


def test_on_each_side_apart_one_that_knows_the_rule_stays_right(memorised):
    probe, _ = memorised
    table = torch.from_numpy(rule_table(probe.members[0].config)).reshape(-1)
    value = probe.templates()[:, table][:, :, None]
    assert accuracies(probe, value) == (1, 1, 1)
    assert accuracies(probe, project_own(probe, value, range(1, 12), KEEP)) == (1, 1, 1)
