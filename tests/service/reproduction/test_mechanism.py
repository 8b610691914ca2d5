"""Claims about what a model computes: verdicts follow from tables by the rules."""

import numpy as np
import pandas as pd
import pytest

from service.reproduction.claims import judge
from service.reproduction.evidence import INCONCLUSIVE, NOT, PARTLY, REPRODUCED
from service.reproduction.mechanism import spectrum
from tests.service.reproduction.tables import (
    ALL,
    BY_ID,
    FAILED,
    FEW,
    MIRROR_ONLY,
    evidence,
    identities,
    spectra,
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
    assert judged.verdict == INCONCLUSIVE
    assert "none of 2 trials" in judged.finding.measured[0]


def test_frequencies_that_hold_no_more_than_by_chance_are_not_key():
    rows = [r for i in range(3) for r in spectra(i, FEW, by_chance=True)]
    assert verdict("key-frequencies", {"n1": trials({}, {}, {}) | {"spectra": rows}}) == NOT


def test_rows_of_a_site_are_its_spectrum():
    power = {"fve_a": [0.2, 0.0, 0.1, 0.0], "fve_b": [0.0, 0.1, 0.1, 0.0]}
    rows = pd.DataFrame({"frequency": [1, 2, 3, 4], **power, "fve_ab": [0.0, 0.4, 0.0, 0.1]})
    np.testing.assert_allclose(spectrum(rows).share, [0.2, 0.5, 0.2, 0.1])


@pytest.mark.parametrize(
    ("per_head", "heads", "expected"),
    [(((1,), (3,)), 2, PARTLY), ((ALL, ALL), 2, NOT), (((1,), (3,)), 1, INCONCLUSIVE)],
)
def test_heads(per_head, heads, expected):
    rows = [r for h, keys in enumerate(per_head) for r in spectra(0, keys, "block0.score[a]", h)]
    tables = trials({"heads": heads}) | {"spectra": rows}
    assert verdict("heads", {"n1": tables}, is_full=False) == expected


@pytest.mark.parametrize(
    ("by_chance", "expected"),
    [((False,) * 4, REPRODUCED), ((False, False, True, True), REPRODUCED),
     ((False, True, True, True), PARTLY), ((True,) * 4, NOT)],
)  # fmt: skip
def test_half_of_the_heads_have_one_frequency_beyond_chance(by_chance, expected):
    rows = [r for h, chance in enumerate(by_chance)
            for r in spectra(0, (1,), "block0.score[a]", h, chance)]  # fmt: skip
    tables = trials({"heads": 4}) | {"spectra": rows}
    assert verdict("heads", {"n1": tables, "unordered": tables}) == expected


@pytest.mark.parametrize(
    ("first", "second", "fve", "key", "expected"),
    [
        (138910.0, -139849.0, 0.95, (1,), REPRODUCED),
        (1.0, -1.0, 0.75, (1,), PARTLY),
        (1.0, -1.0, 0.95, (), NOT),
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


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ([{"others": 0.8}] * 3, PARTLY),
        ([{"others": 0.8}, {"others": 0.8}, {}], PARTLY),
        ([{"others": 0.8}, {}, {}], NOT),
        ([{"others": 0.8, "random": 0.9}] * 3, NOT),
        ([{"others": 0.8, "key": (1,)}, {}, {}], NOT),  # one trial as the paper has them
    ],
)
def test_without_key_frequencies_every_frequency_must_obey_in_two_thirds(how, expected):
    rows = [
        r for i, one in enumerate(how) for r in identities(i, 1.0, -1.0, 0.95, **{"key": (), **one})
    ]
    judged = judge(
        BY_ID["identity-cos"], evidence({"n1": trials({}, {}, {}) | {"identities": rows}})
    )
    assert judged.verdict == expected
    assert any("not that a few frequencies compute it" in m for m in judged.finding.measured)


def test_a_key_frequency_must_be_above_random_directions():
    for random, expected in ((0.96, NOT), (0.7, REPRODUCED)):
        rows = identities(0, 1.0, -1.0, 0.95, random=random)
        assert verdict("identity-cos", {"n1": trials({}) | {"identities": rows}}) == expected


def test_a_control_counts_if_it_was_run_and_takes_nothing_away_if_it_was_not():
    rows = identities(0, 1.0, -1.0, 0.95)
    own = {"trials": [trial()], "identities": rows}
    assert verdict("non-key", {"n1": own}) == REPRODUCED
    assert verdict("non-key", {"n1": own}, is_full=False) == PARTLY
    assert verdict("non-key", {"unordered": own}) == PARTLY  # the control is not the claim
    larger = [r | {"cos_cos": 0.9, "sin_sin": -0.9} for r in rows]
    against = [r | {"trial_id": f"t{i}"} for i in (1, 2) for r in larger]
    control = {"trials": [trial(i) for i in (1, 2)], "identities": against}
    assert verdict("non-key", {"n1": own, "unordered": control}) == NOT


def test_coefficients_of_other_frequencies():
    rows = identities(0, 1.0, -1.0, 0.95)
    one = {"trials": [trial()], "identities": rows}
    assert verdict("non-key", {"n1": one, "unordered": one}) == REPRODUCED
    larger = [r | {"cos_cos": 0.2, "sin_sin": -0.2} if r["frequency"] > 1 else r for r in rows]
    assert verdict("non-key", {"n1": one | {"identities": larger}}) == PARTLY
    few = [r | {"trial_id": f"t{i}", "is_key": bool(r["is_key"] and i == 0)}
           for i in range(3) for r in larger]  # fmt: skip
    assert verdict("non-key", {"n1": trials({}, {}, {}) | {"identities": few}}) == NOT
    none = [row | {"is_key": False} for row in rows]
    assert verdict("non-key", {"n1": one | {"identities": none}}) == NOT
