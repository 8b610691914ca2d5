"""REPRODUCTION.md follows from the tables."""

import dataclasses
import itertools

import pytest

from service.reproduction.claims import CLAIMS, judge
from service.reproduction.document import Run, commands, document
from service.reproduction.figures import draw
from service.reproduction.levels import PAPER_RECTIFY
from tests.service.reproduction.tables import (
    ALL,
    BY_ID,
    FAILED,
    FEW,
    KNOWS,
    critical,
    curve,
    evidence,
    flat,
    identities,
    spectra,
    timesteps,
    trial,
    trials,
)

RUN = Run("2026-01-02", "20m", "a machine", "abc", "Python 3")
RUNS = {"n1": [RUN]}


def some_evidence():
    curves = [row for i in range(2) for row in curve(i, (0.1, 0.0), (1.0, 0.5), (1.0, 1.0))]
    n1 = trials({}, {}) | {"curves": curves, "spectra": spectra(0, FEW) + spectra(1, ALL)}
    n1 |= {"identities": identities(0, 1.0, -1.0, 0.95), "timesteps": timesteps(PAPER_RECTIFY)}
    control = [trial(i, split="unordered") for i in (7, 8)]
    return evidence({"n1": n1, "unordered": {"trials": control}}, is_full=False, reason="no files")


def test_the_same_tables_give_the_same_document():
    text = document(some_evidence(), RUNS)
    assert text == document(some_evidence(), RUNS)
    for claim in CLAIMS:
        assert f"### {claim.id}\n" in text
        assert claim.rule in text
    assert f"Of {len(CLAIMS)} claims: 0 reproduced, " in text  # nothing was run in full
    assert "| **reproduced** |" not in text
    assert "no files" in text
    assert (
        "2 of our 2 trials without a leak end at 0.95 or above: ours do not need the leak. " in text
    )
    assert "Of the paper's models, trained with the ordered split, this shows nothing." in text


def test_what_is_reproduced_is_counted_and_said():
    text = document(evidence({"n1": flat([trial(0), trial(1)])}), RUNS)
    assert f"Of {len(CLAIMS)} claims: 2 reproduced, " in text
    found, _, claim_by_claim = text.partition("## Claim by claim")
    assert found.count("| **reproduced** |") == 2
    assert claim_by_claim.count("**Reproduced**") == 2
    rules = claim_by_claim.partition("## Rules")[2].partition("##")[0]
    texts = [line.partition(". ")[2] for line in rules.strip().splitlines()]
    assert len(set(texts)) == len(texts) > 8  # each once


def test_lists_and_tables_of_the_document_are_well_formed():
    lines = document(some_evidence(), RUNS).splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith("|") and not before.startswith("|"):
            assert before == ""  # or Markdown takes it for text
            columns = line.count("|")
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == columns, line
        if line.startswith("#"):
            assert before == ""
    assert not [line for line in lines if "nan" in line.split()]


def test_every_experiment_has_its_own_run_and_the_head_their_span():
    later = RUN._replace(date="2026-02-03", commit="0123456789+changes", budget="")
    text = document(some_evidence(), {"n1": [RUN, later], "unordered": [later]})
    assert "Run from 2026-01-02 to 2026-02-03 by commits `abc`, `0123456+changes`, on a m" in text
    ours = "2026-02-03, `0123456+changes` |"
    assert f"| 2 of 2 | 2026-01-02, `abc`, budget 20m; {ours}" in text
    assert f"| 1 of 1 | {ours}" in text or f"| 2 of 2 | {ours}" in text
    unknown = document(some_evidence(), {})
    assert "by which commit, is not known" in unknown
    assert "| 2 of 2 | not known |" in unknown


def test_the_commands_under_a_claim_give_its_numbers_again():
    n1 = {"n1": trials({}, {})}
    known = evidence(n1 | {"unordered": {"trials": [trial(7, split="unordered")]}}, is_full=False)
    known.ran["unordered"] = dataclasses.replace(known.ran["unordered"], scale="brief")
    start = ".venv/bin/grok reproduce --only"
    assert commands(judge(BY_ID["key-frequencies"], known), known) == [
        f"{start} n1 --scale small --data-root DIR",
        f"{start} unordered --scale brief --data-root DIR",
    ]
    assert commands(judge(BY_ID["grokking-n4"], known), known) == [
        f"{start} n4 --scale brief --data-root DIR"
    ]
    glyphs = evidence({"kuzushiji": trials({})}, is_full=False)
    odd = dataclasses.replace(glyphs.ran["kuzushiji"], scale="glyphs-brief", stand_in=True)
    glyphs.ran["kuzushiji"] = odd
    assert commands(judge(BY_ID["kuzushiji"], glyphs), glyphs) == [
        f"{start} kuzushiji --scale glyphs-brief"
    ]
    other = evidence({"omniglot": trials({})}, is_full=False, stand_ins=("omniglot",))
    assert commands(judge(BY_ID["kuzushiji"], other), other) == [
        f"{start} omniglot --scale small --data-root DIR"
    ]


def test_without_any_trial_everything_is_not_run():
    text = document(evidence({}), {})
    assert f"{len(CLAIMS)} not run" in text
    assert draw(evidence({})) == {}


def test_curves_are_drawn_from_what_was_run():
    figure, caption = draw(some_evidence())["curves"]
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["n1 (small)\nemnist, P = 23, N = 1\nFFN 128, samples of 10 steps"]
    assert "as many Euler steps as a panel says" in caption
    (dashed,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert dashed.get_ydata()[0] == pytest.approx(41 / 53 + 12 / 53 / 23)


def test_samples_of_one_step_and_of_ten_are_told_apart():
    figure, _ = draw(evidence({"n1": flat([trial(0), trial(1, sample_steps=1)])}))["curves"]
    steps = [ax.get_title().rsplit("\n", 1)[1] for ax in figure.axes]
    assert steps == ["FFN 128, samples of 1 step", "FFN 128, samples of 10 steps"]


def drawn_levels(stand_ins=(), **fields):
    mine = {"trials": [trial(0, N=256, **fields)], "timesteps": timesteps(PAPER_RECTIFY)}
    mine |= {"critical": critical([(10, 11)])["critical"]}
    figure, _ = draw(evidence({"n256": mine}, stand_ins=stand_ins)).get("levels", (None, ""))
    return figure


def names(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_levels_are_drawn_of_trials_that_learned_on_the_papers_images():
    left, right = drawn_levels().axes
    assert names(left) == ["ours, N = 256", "the paper, N = 256"]
    assert names(right) == ["ours, N = 256", "predicted = observed"]
    for ax, own in zip(drawn_levels(**FAILED).axes, ("the paper, N = 256", "predicted = observed")):
        assert names(ax) == [own]
    assert drawn_levels(stand_ins=("n256",)) is None


def test_levels_of_two_blocks_and_of_what_is_wrong_in_many_steps_are_told_apart():
    left, right = drawn_levels(depth=2).axes
    assert names(left)[0] == names(right)[0] == "ours, N = 256, two blocks"
    left, right = drawn_levels(**KNOWS).axes
    assert names(left) == ["ours, N = 256, few steps only", "the paper, N = 256"]
    assert names(right) == ["predicted = observed"]
    hollow = [line.get_markerfacecolor() for line in right.lines if line.get_marker() == "o"]
    assert hollow == ["none"]


def test_places_without_a_panel_stay_empty():
    rows = [trial(i, P=P) for i, P in enumerate((27, 31, 35, 23, 39))]
    figure, _ = draw(evidence({"moduli": flat(rows)}))["curves"]
    assert [ax.get_visible() for ax in figure.axes] == [True] * 5 + [False] * 3
