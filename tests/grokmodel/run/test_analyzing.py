"""Trials that are analyzed where they were trained: their rows come first, then what is found."""

import torch

from grokmodel.catalog.runs import RUNS
from grokmodel.run import output, results
from grokmodel.run.analyzing import CHOICES
from tests.grokmodel.runs import CONFIGS, left, plan_of, run


def analyzed(out):
    """Analyses that were done, by trial."""
    found = {}
    for path in results.files_in(out):
        for row in results.read_results(path).analyses.get("analyses", ()):
            found.setdefault(row["trial_id"], set()).add(row["analysis"])
    return found


def test_trials_are_analyzed_as_they_finish_and_weights_leave_room_for_that(
    plan, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(output, "LIMIT", 120_000)
    monkeypatch.setattr("grokmodel.run.__main__.ANALYSES_BYTES", 12_000)
    assert run(plan, tmp_path, "--files", 2, "--analyses", "heads", "spectra") == 0
    assert analyzed(tmp_path) == {c.trial_id: {"heads", "spectra"} for c in CONFIGS}
    found = left(tmp_path)
    assert {i: parts[:3] for i, parts in found.items()} == {
        i: parts[:3] for i, parts in left(whole).items()
    }
    assert 0 < sum(parts[3] != "[]" for parts in found.values()) < len(CONFIGS)
    (only,) = tmp_path.iterdir()
    assert only.stat().st_size <= output.LIMIT


def test_all_that_can_be_asked_for_can_be_written(tmp_path):
    plan = plan_of(tmp_path / "plan.zip", CONFIGS[0])
    assert run(plan, tmp_path / "out", "--analyses", *CHOICES) == 0
    of_images = {name for name in CHOICES if name in RUNS["image"]}
    assert analyzed(tmp_path / "out") == {CONFIGS[0].trial_id: of_images}


def test_an_analysis_that_fails_or_has_no_time_costs_no_trial(
    plan, whole, tmp_path, monkeypatch, capsys
):
    def out_of_memory(members, context):
        raise torch.OutOfMemoryError("40 GiB")

    monkeypatch.setitem(RUNS["image"], "heads", out_of_memory)
    assert run(plan, tmp_path / "failed", "--analyses", "spectra", "heads") == 0
    assert "failed and is left out: OutOfMemoryError: 40 GiB" in capsys.readouterr().out
    assert analyzed(tmp_path / "failed") == {c.trial_id: {"spectra"} for c in CONFIGS}
    while run(plan, tmp_path / "late", "--minutes", "1e-9", "--analyses", "spectra"):
        pass
    assert f"no time for spectra of {CONFIGS[3].trial_id}" in capsys.readouterr().out
    assert analyzed(tmp_path / "late") == {}
    for name in ("failed", "late"):
        assert left(tmp_path / name).keys() == left(whole).keys()
