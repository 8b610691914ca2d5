"""A search for a boundary with real training, as a user starts it; then the same command again."""

import json
import re
import shlex

import optuna
import pandas as pd
import pytest

from sweeps import grok_boundary
from tests.environment import ROOT, python

PLANE = ["--what", "learned", "--x", "lr", "3e-4", "0.1", "--y", "weight_decay", "0.1", "30"]
MODEL = [
    "--recipe",
    "fast",
    "--train-fraction",
    "0.6",
    "--P",
    "5",
    "--side",
    "8",
    "--width",
    "32",
    "--ffn",
    "32",
    "--batch",
    "32",
]
MODEL += ["--t-levels", "8", "--steps", "200", "--eval-every", "20", "--eval-pairs", "64"]
MODEL += ["--sample-steps", "1", "--final-sample-steps", "1"]
TINY = ["--name", "tiny", "--cells", "5", "5", "--pack", "9", *PLANE, *MODEL]
"""A plane in which some models learn their training pairs, in half a second each."""
TWICE = """
import sys
from sweeps import grok_boundary
print("first", grok_boundary.main(sys.argv[1:]), flush=True)
print("again", grok_boundary.main(sys.argv[1:]), flush=True)
"""


@pytest.mark.cluster
def test_a_search_leaves_a_boundary_and_is_not_run_twice(tmp_path):
    store = tmp_path / "store"
    done = python("-c", TWICE, *TINY, GROK_STORE=store)
    assert "first 0" in done.stdout, done.stdout + done.stderr
    first, again = done.stdout.split("first 0")
    assert "again 0" in again
    assert "to train in" in first
    assert "to train in" not in again
    assert re.search(r"boundary known to 1 cell where it was seen; \d+ of 25 points", again)

    trials = pd.read_parquet(store / "tables" / "trials")
    assert len(trials) == trials["trial_id"].nunique()
    said = json.loads((store / "boundaries" / "tiny" / "boundary.json").read_text())
    assert said["known"]
    sent = list((store / "mlartifacts").rglob("boundary.json"))
    assert [json.loads(path.read_text()) for path in sent] == [said]
    assert {point["learned"] for point in said["points"]} == {True, False}
    assert sum(point["status"] == "observed" for point in said["points"]) == len(trials) < 25
    phase_at = trials.set_index(["lr", "weight_decay"])["phase"]
    for point in said["points"]:
        if point["status"] == "observed":
            assert point["phases"] == [phase_at[point["x"], point["y"]]]
    assert {".json", ".png", ".svg"} == {
        path.suffix for path in (store / "boundaries" / "tiny").iterdir()
    }
    assert (store / "figures" / "tiny" / "report.html").exists()
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{store}/optuna.db")
    assert {i for trial in study.trials for i in trial.user_attrs["trial_ids"]} == set(
        trials["trial_id"]
    )


def test_the_commands_of_the_document_make_valid_planes():
    text = (ROOT / "docs" / "boundary.md").read_text().replace("\\\n", " ")
    found = re.findall(r"python sweeps/grok_boundary\.py (.*)", text)
    assert found
    for flags in found:
        args = grok_boundary.build_parser().parse_args(shlex.split(flags))
        assert len(grok_boundary.plane_of(args).x) >= 3


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(tmp_path):
    store = tmp_path / "store"
    done = python("sweeps/grok_boundary.py", *TINY, "--dry-run", GROK_STORE=store)
    assert done.returncode == 0, done.stderr
    for words in ("5 x 5 points", "first round   9 points", "at most       18", "optuna.db"):
        assert words in done.stdout
    assert not store.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--x", "lr", "--y", "P", "11", "31"], "--x-values"),
        (["--x", "lr", "0.1", "1", "--y", "P", "11", "31", "--P", "5"], "--P = 5"),
        (
            ["--x", "steps", "250", "5000", "--y", "lr", "0.1", "1"],
            "a multiple of eval_every = 250; --x-values lists",
        ),
        (["--y", "batch", "64", "512", "--x", "lr", "0.1", "1"], "--y-values lists"),
        (["--x", "width", "16", "200", "--y", "lr", "0.1", "1"], "--x-values lists"),
        (["--x", "lr", "0.1", "1", "--y", "P", "11", "31", "--pack", "0"], "--pack = 0"),
        (["--x", "lr", "0.1", "1", "--y", "P", "11", "31", "--gpus", "0"], "--gpus = 0"),
        (["--x", "lr", "0.1", "1", "--y", "P", "11", "31", "--name", "a/b"], "--name = 'a/b'"),
        (["--x", "lr", "0.1", "1", "--y", "P", "11", "31", "--width", "15"], "width = 15"),
        (
            ["--x", "lr", "0.1", "1", "--y", "P", "11", "31", "--seed", "1", "--seeds", "2"],
            "--seeds = 2",
        ),
    ],
)
def test_bad_input_gets_one_clear_line(flags, words, capsys, tmp_path):
    assert grok_boundary.main([*flags, "--store", str(tmp_path / "store")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said
    assert not (tmp_path / "store").exists()
