"""Claims about noise levels: verdicts follow from tables by the rules."""

import pytest

from service.reproduction.claims import judge
from service.reproduction.evidence import INCONCLUSIVE, NOT, NOT_RUN, PARTLY, REPRODUCED
from service.reproduction.levels import PAPER_RECTIFY
from tests.service.reproduction.tables import (
    BY_ID,
    FAILED,
    KNOWS,
    critical,
    evidence,
    timesteps,
    trial,
    trials,
    verdict,
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (PAPER_RECTIFY, REPRODUCED),
        ({0: 0.0, 21: 0.3, 32: 0.9, 50: 1.0}, PARTLY),
        ({0: 0.0, 21: 1.0, 32: 1.0, 50: 1.0}, NOT),
        ({0: 0.9, 21: 0.9, 32: 0.9, 50: 0.9}, NOT),
    ],
)
def test_rectified_samples(values, expected):
    tables = {"trials": [trial(N=256)], "timesteps": timesteps(values)}
    assert verdict("rectify", {"n256": tables}) == expected


def test_where_no_diverse_trial_learned_one_image_stands_in_and_is_partly():
    failed = {"trials": [trial(5, N=256, **FAILED)], "timesteps": timesteps(PAPER_RECTIFY)}
    one = trials({}) | {"timesteps": timesteps(PAPER_RECTIFY)}
    judged = judge(BY_ID["rectify"], evidence({"n256": failed, "n1": one}))
    assert (judged.verdict, judged.from_stand_in) == (PARTLY, True)
    assert any("diverse-image regime: none of 1 trial" in m for m in judged.finding.measured)
    assert verdict("rectify", {"n256": failed}) == INCONCLUSIVE
    unlike = trials({}) | {"timesteps": timesteps(dict.fromkeys(PAPER_RECTIFY, 0.9))}
    assert verdict("rectify", {"n1": unlike}) == NOT_RUN  # no refutation either


def test_trials_that_are_wrong_in_many_steps_count_for_no_verdict():
    knows = {"trials": [trial(N=256, **KNOWS)], "timesteps": timesteps(PAPER_RECTIFY)}
    judged = judge(BY_ID["rectify"], evidence({"n256": knows}))
    assert judged.verdict == INCONCLUSIVE
    first = judged.finding.measured[0]
    assert first.startswith("1 trial, 1 seed, left out: right in few sampling steps, not in many")
    assert "from noise-step index 32: 0.54; the paper 0.54" in judged.finding.measured
    unlike = timesteps(dict.fromkeys(PAPER_RECTIFY, 0.9), 1)
    knows["trials"].append(trial(1, N=256))
    knows["timesteps"] += unlike
    judged = judge(BY_ID["rectify"], evidence({"n256": knows}))
    assert judged.verdict == NOT  # by the one that is right in many steps
    assert "left out" in judged.finding.measured[-1]


def test_one_image_that_does_not_support_stands_behind_what_many_showed():
    knows = {"trials": [trial(5, N=256, **KNOWS)], "timesteps": timesteps(PAPER_RECTIFY, 5)}
    unlike = trials({}) | {"timesteps": timesteps(dict.fromkeys(PAPER_RECTIFY, 0.9))}
    judged = judge(BY_ID["rectify"], evidence({"n256": knows, "n1": unlike}))
    assert (judged.verdict, judged.from_stand_in) == (INCONCLUSIVE, False)
    assert judged.finding.short.startswith("no trial is right in many sampling steps")
    last = judged.finding.measured[-2]
    assert last.startswith("in the neighboring regime: from noise-step index 50: 0.90")
    assert judge(BY_ID["rectify"], evidence({"n1": unlike})).from_stand_in


GOOD = [(10, 11), (20, 19), (30, 30), (15, 16), (40, 38)]


def leveled(pairs, moduli=(27, 31), extent=0.5, **fields):
    rows = [trial(i, N=256, P=moduli[i % len(moduli)], **fields) for i in range(len(pairs))]
    return {"critical": {"trials": rows} | critical(pairs, extent)}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (GOOD, REPRODUCED),
        ([(10, 20), (20, 30), (30, 40), (15, 25), (40, 49)], PARTLY),
        ([(10, 30), (20, 5), (30, 45), (15, 40), (40, 2)], NOT),
        ([(10, 12), (11, 11), (12, 10), (13, 9), (9, 13)], NOT),  # near, and the wrong way round
        ([(10, 12), (20, 21), (19, 18), (11, 13), (21, 20)], REPRODUCED),
        ([(10, 11), (12, 11), (11, 12), (13, 12), (12, 13)], PARTLY),
        ([(10, 11), (11, 10)], INCONCLUSIVE),
        ([(10, 10)] * 5, INCONCLUSIVE),  # no rank to compare
        ([(1, 0)], INCONCLUSIVE),
        ([(1, 0), (2, 0), (1, 0), (2, 0), (49, 50)], INCONCLUSIVE),  # all at an edge
        ([*GOOD[:4], (1, 0)], INCONCLUSIVE),
        ([*GOOD, (45, 0)], REPRODUCED),  # what does not count does no harm either
    ],
)
def test_critical_levels(pairs, expected):
    full = dict.fromkeys(("n256", "critical", "critical-kuzushiji"), leveled(pairs)["critical"])
    judged = judge(BY_ID["critical-level"], evidence(full))
    assert judged.verdict == expected
    assert any("observed/predicted" in line for line in judged.finding.measured)


def test_levels_need_several_settings_and_an_entropy_that_changes():
    assert verdict("critical-level", leveled(GOOD)) == PARTLY  # not all experiments
    assert verdict("critical-level", leveled(GOOD, moduli=(27,))) == INCONCLUSIVE
    assert verdict("critical-level", leveled(GOOD, extent=0.004)) == INCONCLUSIVE
    assert verdict("critical-level", leveled(GOOD, **KNOWS)) == INCONCLUSIVE
