"""Claims about training: verdicts follow from tables by the rules."""

import dataclasses

import pandas as pd
import pytest

from service.reproduction.claims import BY_ID, judge
from service.reproduction.evidence import NOT, NOT_RUN, PARTLY, REPRODUCED
from service.reproduction.grokking import in_words
from tests.service.reproduction.tables import (
    FAILED,
    LATE_ONLY,
    MIRROR_ONLY,
    evidence,
    trial,
    trials,
    verdict,
)


def test_single_step_samples_are_told_where_many_steps_lose_much():
    whole = pd.DataFrame([trial()])
    assert "single step" not in in_words(whole)
    lost = whole.assign(train_acc_final=0.4, val_acc_1step=0.92)
    assert "By samples of a single step: training 1.00, validation 0.92" in in_words(lost)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (({}, {}, FAILED), REPRODUCED),
        (({}, FAILED, FAILED), PARTLY),
        ((LATE_ONLY, LATE_ONLY, LATE_ONLY), PARTLY),
        ((FAILED, FAILED, FAILED), NOT),
        ((MIRROR_ONLY, MIRROR_ONLY, MIRROR_ONLY), NOT),
    ],
)
def test_grokking_is_judged_by_the_strict_pairs(kinds, expected):
    assert verdict("grokking-n1", {"n1": trials(*kinds)}) == expected


def test_the_papers_own_measure_takes_what_mirrors_give_and_says_so():
    judged = judge(BY_ID["validation-n1"], evidence({"n1": trials(MIRROR_ONLY, MIRROR_ONLY)}))
    assert judged.verdict == REPRODUCED
    assert any("mirrored pairs alone" in line for line in judged.finding.measured)
    assert verdict("validation-n1", {"n1": trials({}, FAILED)}) == PARTLY
    assert verdict("validation-n1", {"n1": trials(FAILED)}) == NOT


def test_at_a_smaller_scale_a_rule_that_is_met_is_partly():
    judged = judge(BY_ID["grokking-n1"], evidence({"n1": trials({}, {})}, is_full=False))
    assert (judged.verdict, judged.capped) == (PARTLY, True)
    assert verdict("grokking-n1", {"n1": trials(FAILED)}, is_full=False) == NOT


def test_other_images_than_the_papers_judge_nothing():
    found = evidence({"kuzushiji": {"trials": [trial(i, P=P) for i, P in enumerate((39, 43, 47))]}})
    assert judge(BY_ID["kuzushiji"], found).verdict == REPRODUCED
    found.ran["kuzushiji"] = dataclasses.replace(found.ran["kuzushiji"], stand_in=True)
    assert judge(BY_ID["kuzushiji"], found).verdict == NOT_RUN


def test_all_moduli_must_grok():
    at = [trial(i, P=P) for i, P in enumerate((27, 31, 35))]
    assert verdict("other-moduli", {"moduli": {"trials": at}}) == REPRODUCED
    assert verdict("other-moduli", {"moduli": {"trials": at[:2]}}) == PARTLY
    failed = [row | FAILED for row in at]
    assert verdict("other-moduli", {"moduli": {"trials": [*at[:2], failed[2]]}}) == PARTLY
    assert verdict("other-moduli", {"moduli": {"trials": [at[0], *failed[1:]]}}) == NOT
    assert verdict("other-moduli", {"moduli": {"trials": failed}}) == NOT
    assert verdict("other-moduli", {}) == NOT_RUN


def test_depth_needs_both_regimes():
    one, many = trials({}), {"trials": [trial(N=256)]}
    assert verdict("depth-2", {"depth2": one, "depth2-n256": many}) == REPRODUCED
    assert verdict("depth-2", {"depth2": one}) == PARTLY


@pytest.mark.parametrize(
    ("sandwich", "baseline", "widened", "expected"),
    [({}, FAILED, FAILED, REPRODUCED), ({}, {}, FAILED, NOT), (FAILED, FAILED, FAILED, NOT),
     ({}, FAILED, MIRROR_ONLY, REPRODUCED)],
)  # fmt: skip
def test_the_sandwich_must_learn_what_the_others_do_not(sandwich, baseline, widened, expected):
    first = {"trials": [trial(0, N=256, variant="sandwich", **sandwich)]}
    others = {"trials": [trial(1, N=256, **baseline), trial(2, N=256, ffn=256, **widened)]}
    assert verdict("sandwich", {"n256": first, "variants": others}) == expected
    assert verdict("sandwich", {"n256": first}) == NOT_RUN


def test_a_sandwich_that_is_only_better_is_partly():
    first = {"trials": [trial(i, variant="sandwich") for i in range(3)]}
    others = [trial(3, **FAILED), trial(4), trial(5, ffn=256, **FAILED)]
    assert verdict("sandwich", {"n256": first, "variants": {"trials": others}}) == PARTLY
