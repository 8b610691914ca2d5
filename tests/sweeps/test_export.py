"""grok_phase.py --export and grok reproduce --export, as a user gives them."""

import pytest

from grokmodel.run.plan import read_plan
from sweeps import grok, grok_phase
from tests.grokmodel.runs import run
from tests.service.tables.bundles import take_runs

FLAGS = ["--name", "far", "--P", "7", "--side", "8", "--width", "16", "--ffn", "16", "--seeds", "2"]
FLAGS += ["--batch", "32", "--t-levels", "8", "--steps", "20", "--eval-every", "10"]


def test_a_plan_is_written_trained_and_done(settings, store, tmp_path, capsys):
    plan = tmp_path / "a plan.zip"
    command = [*FLAGS, "--store", settings.store, "--export", str(plan)]
    assert grok_phase.main(command) == 0
    said = capsys.readouterr().out
    assert f"{plan}: 2 trials of 1 pack shape, 1 image bank" in said
    assert "    python -m grokmodel.run 'a plan.zip' --out far-results\n" in said
    assert f"    grok import-results far-results --store {settings.store}\n" in said
    assert store.list("") == []
    assert len(read_plan(plan).configs) == 2
    assert run(plan, tmp_path / "out") == 0
    take_runs(store, tmp_path / "out")
    plan.unlink()
    assert grok_phase.main(command) == 0
    assert "all 2 trials are done already; no plan is written" in capsys.readouterr().out
    assert not plan.exists()


def test_a_plan_instead_of_a_dry_run(capsys, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        grok_phase.main([*FLAGS, "--dry-run", "--export", str(tmp_path / "plan.zip")])
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.fixture
def reproduce(settings, tmp_path, monkeypatch):
    """Runs the command without EMNIST and without results."""
    monkeypatch.setenv("GROK_DATA", settings.data_root)

    def run(*flags):
        places = ["--store", settings.store, "--out", str(tmp_path / "R.md"), "--no-results"]
        return grok.main(["reproduce", *flags, *places, "--export", str(tmp_path / "plan.zip")])

    return run


def test_an_experiment_of_the_paper_is_a_plan_too(reproduce, tmp_path, store):
    assert reproduce("--only", "kuzushiji", "--scale", "glyphs-brief") == 0
    plan = read_plan(tmp_path / "plan.zip")
    assert plan.outline.sweep == "paper-kuzushiji-glyphs-brief"
    assert {c.P for c in plan.configs} == {39, 43, 47}
    assert [e.key for e in store.entries("")] == ["reproduction/costs.json"]  # for the next plan
    assert not (tmp_path / "R.md").exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([], "--only NAME"),
        (["--only", "n1", "moduli", "--scale", "brief"], "--only NAME"),
        (["--only", "n1", "--scale", "full"], "emnist"),
    ],
)
def test_no_plan_without_one_experiment_that_can_be_run(flags, named, reproduce, tmp_path, capsys):
    assert reproduce(*flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("grok: --export = ")
    assert named in error
    assert not (tmp_path / "plan.zip").exists()
