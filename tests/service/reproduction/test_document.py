"""REPRODUCTION.md follows from the tables."""

import dataclasses
import itertools

import pandas as pd

from service.reproduction.claims import CLAIMS
from service.reproduction.document import document
from service.reproduction.evidence import spread
from service.reproduction.figures import draw
from service.reproduction.levels import PAPER_RECTIFY
from tests.service.reproduction.tables import (
    ABOUT,
    ALL,
    FEW,
    evidence,
    identities,
    spectra,
    timesteps,
    trial,
    trials,
)


def some_evidence():
    steps = [(0, 0.1, 0.0), (500, 1.0, 0.5), (1000, 1.0, 1.0)]
    curves = [
        {"trial_id": f"t{i}", "step": s, "train_acc": v, "val_acc": v, "val_acc_strict": strict}
        for i in range(2) for s, v, strict in steps
    ]  # fmt: skip
    n1 = trials({}, {}) | {"curves": curves, "spectra": spectra(0, FEW) + spectra(1, ALL)}
    n1 |= {"identities": identities(0, 1.0, -1.0, 0.95), "timesteps": timesteps(PAPER_RECTIFY)}
    control = [trial(i, split="unordered") for i in (7, 8)]
    return evidence({"n1": n1, "unordered": {"trials": control}}, is_full=False, reason="no files")


def test_the_same_tables_give_the_same_document():
    text = document(some_evidence(), ABOUT)
    assert text == document(some_evidence(), ABOUT)
    for claim in CLAIMS:
        assert f"### {claim.id}\n" in text
        assert claim.rule in text
    assert "reproduced: 0" not in text
    assert "0 reproduced" in text  # nothing was run in full
    assert "no files" in text
    assert "2 of our 2 trials without a leak end at 0.95 or above: ours do not need the" in text
    assert "Of the paper's models, trained with the ordered split, this shows nothing." in text


def test_lists_and_tables_of_the_document_are_well_formed():
    lines = document(some_evidence(), ABOUT).splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith("|") and not before.startswith("|"):
            assert before == ""  # or Markdown takes it for text
            columns = line.count("|")
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == columns, line
        if line.startswith("#"):
            assert before == ""
    assert not [line for line in lines if "nan" in line.split()]


def test_without_any_trial_everything_is_not_run():
    text = document(evidence({}), ABOUT)
    assert f"{len(CLAIMS)} not run" in text
    assert draw(evidence({})) == {}


def test_curves_are_drawn_from_what_was_run():
    figure, caption = draw(some_evidence())["curves"]
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["n1 (small)\nemnist, P = 23, N = 1"]
    assert "memoriser" in caption


def test_places_without_a_panel_stay_empty():
    rows = [trial(i, P=P) for i, P in enumerate((27, 31, 35, 23, 39))]
    curves = [{"trial_id": r["trial_id"], "step": s, "train_acc": 1.0, "val_acc": 1.0,
               "val_acc_strict": 1.0} for r in rows for s in (0, 1)]  # fmt: skip
    figure, _ = draw(evidence({"moduli": {"trials": rows, "curves": curves}}))["curves"]
    assert [ax.get_visible() for ax in figure.axes] == [True] * 5 + [False] * 3


def test_claims_have_ids_rules_and_numbers_of_their_own():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert all(getattr(claim, f.name) or f.name.startswith(("stand_in", "judge_stand"))
                   for f in dataclasses.fields(claim))  # fmt: skip


def test_numbers_are_median_and_range():
    assert spread(pd.Series([1.0, 3.0, 2.0])) == "2.00 (1.00 to 3.00)"
    assert spread(pd.Series([1.0])) == "1.00"
    assert spread(pd.Series([None, None], dtype=float)) == "never"
