"""Blocked nowhere a sample is clean, everywhere it is ablated, on the way it is both in turn."""

import pytest

from grokmodel.analysis.ablations import ABOVE, BELOW, blocked, spectra_of
from grokmodel.probing.hooks import last_ffn
from grokmodel.probing.probe import Shares
from grokmodel.probing.projections import REMOVE, projecting
from tests.grokmodel.analysis.handmade import (
    lookup_config,
    probe_of,
    random_member,
    rule_follower,
    sampled,
)
from tests.grokmodel.tiny import banks_for, decoders_for, tiny


def blocked_rows(probe, decoders, i=0):
    return {
        (r.when, r.level): Shares(*list(vars(r).values())[3:]) for r in blocked(probe, decoders)[i]
    }


@pytest.mark.parametrize("changes", [{}, {"N": 2}, {"op": "mul"}, {"patch": 4, "depth": 2}])
def test_blocking_nowhere_is_clean_and_blocking_everywhere_is_ablation(changes):
    probe = probe_of(random_member(tiny(sample_steps=4, **changes)))
    decoders = decoders_for(probe.banks)
    rows = blocked_rows(probe, decoders)
    assert set(rows) == {(when, level) for when in (ABOVE, BELOW) for level in range(5)}
    point = last_ffn(probe.shape)
    hook = projecting([point], probe, [spectra_of(probe, [point])[0].dominant], REMOVE)
    (clean,), (everywhere,) = (sampled(probe, decoders, 4, x) for x in (None, hook))
    assert rows[ABOVE, 4] == rows[BELOW, 0] == clean
    assert rows[ABOVE, 0] == rows[BELOW, 4] == everywhere


def test_a_row_of_blocking_is_a_sample_in_two_parts():
    probe = probe_of(random_member(tiny(sample_steps=4)))
    decoders = decoders_for(probe.banks)
    rows = blocked_rows(probe, decoders)
    point = last_ffn(probe.shape)
    ablate = projecting([point], probe, [spectra_of(probe, [point])[0].dominant], REMOVE)
    for when, level in rows:
        steps_left = [4]

        def hook(name, value, when=when, level=level, steps_left=steps_left):
            above = steps_left[0] > level  # the step starts at t = steps_left / 4
            steps_left[0] -= name == "output"
            return ablate(name, value) if above == (when == ABOVE) else value

        assert (rows[when, level],) == tuple(sampled(probe, decoders, 4, hook)), (when, level)


def test_levels_of_blocking_are_places_on_the_path():
    probe = probe_of(random_member(tiny(sample_steps=4)))
    (rows,) = blocked(probe, decoders_for(probe.banks))
    assert {(r.level, r.t) for r in rows} == {(k, k / 4) for k in range(5)}


def test_what_is_asked_in_the_last_step_is_answered_there():
    """A member that does not look at the noisy image answers anew in every step."""
    config = lookup_config(sample_steps=4)
    banks = banks_for(config)
    probe = probe_of(rule_follower(config, *banks.values()), banks=banks)
    decoders = decoders_for(banks)
    rows = blocked_rows(probe, decoders)
    for level in range(1, 5):
        assert rows[ABOVE, level] == (1, 1, 1)
        assert rows[BELOW, level] == rows[BELOW, 4]


def test_blocked_rows_of_a_member_do_not_depend_on_its_pack_mates():
    members = [random_member(tiny(seed=s, sample_steps=3)) for s in (1, 2)]
    together = probe_of(*members)
    decoders = decoders_for(together.banks)
    for i, member in enumerate(members):
        assert blocked_rows(together, decoders, i) == blocked_rows(probe_of(member), decoders)
