"""Packs are of one shape, of about one size, and have every trial once."""

import pytest

from grokmodel.core.packing import by_shape, evenly
from tests.grokmodel.tiny import tiny


@pytest.mark.parametrize("count", range(1, 12))
def test_packs_differ_by_one_trial_at_most_and_keep_the_order(count):
    packs = evenly(range(11), count)
    assert len(packs) == count
    assert [i for pack in packs for i in pack] == list(range(11))
    sizes = [len(pack) for pack in packs]
    assert max(sizes) - min(sizes) <= 1


def test_trials_of_one_shape_are_together_the_longest_first():
    narrow = [tiny(steps=steps, eval_every=10) for steps in (20, 40, 30)]
    wide = tiny(width=64)
    groups = by_shape([narrow[0], wide, *narrow[1:]])
    assert groups == {narrow[0].shape: [narrow[1], narrow[2], narrow[0]], wide.shape: [wide]}
