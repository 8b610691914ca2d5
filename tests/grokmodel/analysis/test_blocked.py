"""Blocked nowhere a sample is clean, everywhere it is ablated, on the way it is both in turn."""

import pytest

from grokmodel.analysis.ablations import ABOVE, BELOW, blocked, spectra_of
from grokmodel.probing.hooks import last_ffn
from grokmodel.probing.probe import Shares
from grokmodel.probing.projections import REMOVE, projecting
from tests.grokmodel.analysis.handmade import (
    decoders_of,
    follower_probe,
    probe_of,
    random_member,
    sampled,
)
from tests.grokmodel.tiny import tiny


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
