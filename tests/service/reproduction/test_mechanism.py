"""Claims about what a model computes: verdicts follow from tables by the rules."""

import pandas as pd
import pytest

from service.reproduction.claims import BY_ID, judge
from service.reproduction.evidence import NOT, NOT_RUN, PARTLY, REPRODUCED, worst_of
from service.reproduction.mechanism import PAPER_RECTIFY, spectrum
from tests.service.reproduction.tables import (
    ALL,
    FAILED,
    FEW,
    MIRROR_ONLY,
    evidence,
    identities,
    spectra,
    timesteps,
    trial,
    trials,
    verdict,
)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [((FEW, FEW, ALL), REPRODUCED), ((FEW, ALL, ALL), PARTLY), ((ALL, ALL, ALL), NOT)],
)
def test_key_frequencies(sets, expected):
    tables = trials({}, {}, {})
    tables["spectra"] = [row for i, keys in enumerate(sets) for row in spectra(i, keys)]
    control = {"trials": [trial(9, split="unordered")], "spectra": spectra(9, sets[0])}
    both = {"n1": tables, "unordered": control}
    assert verdict("key-frequencies", both) == expected


def test_frequencies_of_trials_that_learned_nothing_tell_nothing():
    tables = trials(FAILED, MIRROR_ONLY) | {"spectra": spectra(0, FEW) + spectra(1, FEW)}
    judged = judge(BY_ID["key-frequencies"], evidence({"n1": tables}))
    assert judged.verdict == NOT_RUN
    assert "none of 2 trials" in judged.finding.measured[0]


def test_rows_of_a_site_are_its_spectrum():
    power = {"fve_a": [0.2, 0.0, 0.1, 0.0], "fve_b": [0.0, 0.1, 0.1, 0.0]}
    rows = pd.DataFrame({"frequency": [1, 2, 3, 4], **power, "fve_ab": [0.0, 0.4, 0.0, 0.1]})
    assert spectrum(rows).carriers == (1, 2, 3)  # 0.2, 0.5, 0.2, 0.1 of the power


@pytest.mark.parametrize(
    ("per_head", "heads", "expected"),
    [(((1,), (3,)), 2, PARTLY), ((ALL, ALL), 2, NOT), (((1,), (3,)), 1, NOT_RUN)],
)
def test_heads(per_head, heads, expected):
    rows = [r for h, keys in enumerate(per_head) for r in spectra(0, keys, "block0.score[a]", h)]
    tables = trials({"heads": heads}) | {"spectra": rows}
    assert verdict("heads", {"n1": tables}, is_full=False) == expected


@pytest.mark.parametrize(
    ("first", "second", "fve", "key", "expected"),
    [
        (138910.0, -139849.0, 0.95, (1,), REPRODUCED),
        (1.0, -1.0, 0.75, (1,), PARTLY),
        (1.0, -1.0, 0.95, (), PARTLY),
        (1.0, 1.0, 0.95, (1,), NOT),
        (1.0, -1.0, 0.3, (1,), NOT),
    ],
)
def test_identities(first, second, fve, key, expected):
    def both(direction, sign):
        rows = identities(0, first, sign * second, fve, key, direction)
        return {"n1": trials({}) | {"identities": rows},
                "unordered": {"trials": [trial()], "identities": rows}}  # fmt: skip

    assert verdict("identity-cos", both("cos", 1)) == expected
    assert verdict("identity-sin", both("sin", -1)) == expected


def test_coefficients_of_other_frequencies():
    rows = identities(0, 1.0, -1.0, 0.95)
    one = {"trials": [trial()], "identities": rows}
    assert verdict("non-key", {"n1": one, "unordered": one}) == REPRODUCED
    larger = [r | {"cos_cos": 0.2, "sin_sin": -0.2} if r["frequency"] > 1 else r for r in rows]
    assert verdict("non-key", {"n1": one | {"identities": larger}}) == PARTLY
    none = [row | {"is_key": False} for row in rows]
    assert verdict("non-key", {"n1": one | {"identities": none}}) == NOT


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
    assert verdict("rectify", {"n256": failed}) == NOT_RUN
    unlike = trials({}) | {"timesteps": timesteps(dict.fromkeys(PAPER_RECTIFY, 0.9))}
    assert verdict("rectify", {"n1": unlike}) == NOT_RUN  # no refutation either


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(10, 11), (20, 19), (30, 30), (15, 16), (40, 38)], REPRODUCED),
        ([(10, 20), (20, 30), (30, 40), (15, 25), (40, 49)], PARTLY),
        ([(10, 11), (11, 10)], PARTLY),
        ([(10, 30), (20, 5), (30, 45), (15, 40), (40, 2)], NOT),
    ],
)
def test_critical_levels(pairs, expected):
    tables = {"trials": [trial(i, N=256) for i in range(len(pairs))]}
    tables["critical"] = [
        {"trial_id": f"t{i}", "observed": o, "predicted": p, "difference": p - o}
        for i, (o, p) in enumerate(pairs)
    ]
    every = dict.fromkeys(("n256", "critical", "critical-kuzushiji"), tables)
    assert verdict("critical-level", every) == expected


def test_parts_of_a_claim():
    assert worst_of([REPRODUCED, REPRODUCED]) == REPRODUCED
    assert worst_of([REPRODUCED, NOT_RUN]) == worst_of([REPRODUCED, NOT]) == PARTLY
    assert worst_of([NOT, NOT_RUN]) == NOT
    assert worst_of([NOT_RUN]) == NOT_RUN
