"""Claims about training: verdicts follow from tables by the rules."""

import pandas as pd
import pytest

from service.reproduction import grokking
from service.reproduction.claims import OTHER_IMAGES, judge
from service.reproduction.evidence import INCONCLUSIVE, NOT, NOT_RUN, PARTLY, REPRODUCED, of_parts
from service.reproduction.grokking import in_words
from sweeps.paper import EXPERIMENTS
from tests.service.reproduction.tables import (
    AT_ONCE,
    BY_ID,
    FAILED,
    KNOWS,
    MIRROR_ONLY,
    critical,
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


def test_what_was_not_learned_by_the_last_step_is_not_left_out_of_the_median():
    some = in_words(pd.DataFrame([trial(0), trial(1, **FAILED), trial(2, **FAILED)]))
    assert "strict at step 1,500 in 1 of 3, median of all > 5,000" in some
    assert "training at step 250 (250 to 250)" in some
    none = in_words(pd.DataFrame([trial(0, **FAILED)]))
    assert "strict not by step 5,000" in none
    assert "never" not in none


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (({}, {}, FAILED), REPRODUCED),
        (({}, FAILED, FAILED), PARTLY),
        ((AT_ONCE, AT_ONCE, AT_ONCE), PARTLY),
        ((KNOWS, KNOWS, KNOWS), PARTLY),
        (({}, {}, KNOWS), REPRODUCED),
        (({}, KNOWS, KNOWS), PARTLY),
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
    rows = {"kuzushiji": {"trials": [trial(i, P=P) for i, P in enumerate((39, 43, 47))]}}
    assert verdict("kuzushiji", rows) == REPRODUCED
    judged = judge(BY_ID["kuzushiji"], evidence(rows, stand_ins=("kuzushiji",)))
    assert judged.verdict == NOT_RUN
    assert judged.finding.measured[0] == f"{OTHER_IMAGES} (words):"
    assert judged.finding.measured[1].startswith("P = 39: 1 trial")
    assert judged.finding.short.startswith("on other images: 3 of 3 grok")


def test_an_experiment_on_other_images_only_is_shown_and_judges_nothing():
    at = {"trials": [trial(i, P=P) for i, P in enumerate((39, 43, 47))]}
    other = {"trials": [row | FAILED for row in at["trials"]]}
    found = evidence({"omniglot": other}, stand_ins=("omniglot",))
    judged = judge(BY_ID["kuzushiji"], found)
    assert (judged.verdict, judged.scales) == (NOT_RUN, ("full",))
    assert judged.finding.short.startswith("on other images: 0 of 3 grok")
    both = evidence({"kuzushiji": at, "omniglot": other}, stand_ins=("omniglot",))
    judged = judge(BY_ID["kuzushiji"], both)
    assert judged.verdict == REPRODUCED
    assert judged.finding.short.startswith("3 of 3 grok")
    assert len(judged.finding.measured) == 7  # three moduli of each, and what the second are


def test_other_images_do_not_support_a_claim_in_the_stead_of_trials_that_learned_nothing():
    pairs = [(10, 11), (20, 19), (30, 30), (15, 16), (40, 38)]
    glyphs = {"trials": [trial(i, P=(39, 43)[i % 2]) for i in range(5)]} | critical(pairs)
    rows = {"n1": {"trials": [trial(9, **FAILED)]}, "kuzushiji": glyphs}
    assert verdict("critical-level", rows) == PARTLY
    assert verdict("critical-level", rows, stand_ins=("kuzushiji",)) == NOT_RUN


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
    none_groks = judge(BY_ID["depth-2"], evidence({"depth2": trials(AT_ONCE, AT_ONCE)}))
    assert none_groks.verdict == INCONCLUSIVE  # half of it partly, half unknown
    assert none_groks.finding.short.startswith("0 of 2 grok, 2 more learn without;")
    assert "none groks" in none_groks.finding.measured[0]
    assert none_groks.finding.measured[-1] == "not run: N = 256"


def test_what_is_right_in_a_step_and_not_in_many_is_named():
    many = {"trials": [trial(i, N=256, sample_steps=1, **KNOWS) for i in range(3)]}
    judged = judge(BY_ID["grokking-n256"], evidence({"n256": many}))
    assert judged.verdict == PARTLY
    assert (
        "few sampling steps do better than many: grok by samples of 1 step: 3; of these with 0.95 "
        "of the strict pairs right in 50 steps too: 0" in judged.finding.measured[0]
    )
    assert "3 of 3 grok by samples of 1 step, 0 of these by 50" in judged.finding.short


def test_the_rule_says_of_how_many_steps_the_papers_samples_are():
    found = {
        (c.N > grokking.FEW, c.sample_steps)
        for e in EXPERIMENTS
        for s in e.scales
        for c in s.configs
    }
    assert found == {(False, grokking.STEPS_ONE), (True, 1)}


def test_a_setting_needs_strict_pairs_enough_to_be_reproduced():
    few = [{"n_strict": 3}] * 3
    judged = judge(BY_ID["grokking-n1"], evidence({"n1": trials(*few)}))
    assert (judged.verdict, judged.capped) == (PARTLY, False)
    assert "only 9 strict pairs in all, fewer than 10" in judged.finding.measured[0]
    assert verdict("grokking-n1", {"n1": trials(*few[:2], {"n_strict": 4})}) == REPRODUCED


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([REPRODUCED, REPRODUCED], REPRODUCED),
        ([REPRODUCED, NOT_RUN], PARTLY),
        ([REPRODUCED, NOT], PARTLY),
        ([PARTLY, PARTLY, NOT], PARTLY),
        ([PARTLY, NOT], NOT),
        ([PARTLY, NOT_RUN], NOT_RUN),
        ([NOT, NOT_RUN], NOT_RUN),
        ([NOT, NOT_RUN, NOT_RUN], NOT_RUN),
        ([NOT, NOT, NOT_RUN], NOT),
        ([NOT_RUN], NOT_RUN),
    ],
)
def test_parts_of_a_claim(parts, expected):
    assert of_parts(parts) == expected


@pytest.mark.parametrize(
    ("sandwich", "baseline", "widened", "expected"),
    [({}, FAILED, FAILED, REPRODUCED), (KNOWS, FAILED, FAILED, PARTLY), ({}, {}, FAILED, NOT),
     (FAILED, FAILED, FAILED, NOT), ({}, FAILED, MIRROR_ONLY, REPRODUCED)],
)  # fmt: skip
def test_the_sandwich_must_learn_what_the_others_do_not(sandwich, baseline, widened, expected):
    first = {"trials": [trial(0, N=256, variant="sandwich", **sandwich)]}
    others = {"trials": [trial(1, N=256, **baseline), trial(2, N=256, ffn=256, **widened)]}
    assert verdict("sandwich", {"n256": first, "variants": others}) == expected
    assert verdict("sandwich", {"n256": first}) == INCONCLUSIVE


def test_a_sandwich_that_is_only_better_is_partly():
    first = {"trials": [trial(i, variant="sandwich") for i in range(3)]}
    others = [trial(3, **FAILED), trial(4), trial(5, ffn=256, **FAILED)]
    assert verdict("sandwich", {"n256": first, "variants": {"trials": others}}) == PARTLY


@pytest.mark.parametrize(
    ("ffns", "missing"),
    [
        ((64,), "widened baseline"),
        ((576,), "baseline"),
        ((128, 1024), "baseline, widened baseline"),
    ],
)
def test_a_baseline_that_never_ran_is_not_made_up(ffns, missing):
    first = {"trials": [trial(0, N=256, variant="sandwich", ffn=64, sandwich_ffn=512)]}
    others = {"trials": [trial(i, N=256, ffn=f, **FAILED) for i, f in enumerate(ffns, 1)]}
    judged = judge(BY_ID["sandwich"], evidence({"n256": first, "variants": others}))
    assert judged.verdict == INCONCLUSIVE
    assert judged.finding.measured[-1] == f"not run: {missing}"
    both = {"trials": [trial(i, N=256, ffn=f, **FAILED) for i, f in enumerate((64, 576), 1)]}
    assert verdict("sandwich", {"n256": first, "variants": both}) == REPRODUCED


def test_a_sandwich_of_another_width_is_told():
    first = {"trials": [trial(0, N=256, variant="sandwich", width=256)]}
    others = {"trials": [trial(i, N=256, ffn=f, **FAILED) for i, f in ((1, 128), (2, 256))]}
    judged = judge(BY_ID["sandwich"], evidence({"n256": first, "variants": others}))
    assert "not like for like: width 256 against 128" in judged.finding.measured
