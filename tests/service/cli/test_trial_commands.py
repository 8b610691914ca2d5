"""The commands about one trial, and those that choose among trials, on a sweep trained for real."""

import io
import shutil

import pandas as pd
import pytest
import torch
from PIL import Image

from grokmodel.image.dit import DiT
from service.results import open_sweep
from service.settings import Settings
from service.store.manifest import write_manifest
from service.store.store import Store
from service.tables import bundle
from service.tables.importing import import_bundles
from service.tables.reading import read_table
from service.tables.writing import write_rows
from tests.environment import ROOT
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

TRIAL = tiny_config(seed=2, weight_decay=3).trial_id
MINE = ("--sweep", "tiny")


@pytest.fixture
def run(trained_store, run_on):
    return run_on(trained_store)


# --- show -----------------------------------------------------------------------------------------


def test_show_says_on_one_screen_what_is_known_of_a_trial(run, trained_store):
    code, out, _ = run("show", TRIAL[:6])
    row = read_table(trained_store, "trials", "tiny", [TRIAL]).iloc[0]
    assert code == 0
    assert len(out.splitlines()) < 25
    for part in (TRIAL, "of sweep tiny", "weight_decay 3", row["phase"], "not by 40", "lag",
                 "samples of 3 steps", f"{row['train_acc_final']:.2f}", "0, 10, 20, 30, 40",
                 "not analyzed: grok analyze --sweep tiny --only spectra", "python sweeps/grok_ph",
                 "--weight-decay 3"):  # fmt: skip
        assert part in out, part
    assert "lr" not in out.split("phase")[0], "what is as by default is left out"


def test_show_names_key_frequencies_of_the_noisiest_image(run, trained_store, tmp_path):
    place = shutil.copytree(trained_store.url, tmp_path / "copy")
    store = Store(Settings(str(place), "", ""))
    (row,) = read_table(store, "trials", "tiny", [TRIAL]).to_dict("records")
    of = {name: row[name] for name in ("trial_id", "run_id")} | {"step": 40, "head": -1}
    of |= dict.fromkeys(("fve_a", "fve_b", "fve_ab", "fve_cross", "null_q95", "entropy"), 0.1)
    of |= {"p_value": 0.01, "p_dominant": 0.01, "ordering": "plain"}
    found = [
        ("block0.ffn.pre", 1.0, "nothing", 2, True),
        ("block0.ffn.pre", 1.0, "nothing", 1, False),
        ("block0.ffn.pre", 0.5, "wrong", 3, True),
        ("output", 1.0, "nothing", 1, True),
        ("output", 1.0, "nothing", 3, True),
    ]
    names = ("hook", "t", "shown", "frequency", "is_key")
    write_rows(store, "spectra", "tiny", [of | dict(zip(names, values)) for values in found])
    out = run("show", TRIAL, place=str(place))[1]
    assert "block0.ffn.pre: 2; block0.ffn.post: none; output: 1, 3" in out


def test_show_of_an_imported_trial_says_that_it_has_rows_only(store, run):
    config = tiny_config(N=4, side=16)
    write_manifest(store, "mine", [config], "1")
    write_rows(store, "trials", "mine", [finished_row(config) | {"val_acc_heldout_final": 0.25}])
    code, out, _ = run("show", config.trial_id, place=store.url)
    assert (code, "rows only" in out, "--N 4" in out) == (0, True, True)
    assert "unseen operand images" in out
    assert "0.25" in out


@pytest.mark.parametrize(
    ("family", "parts"),
    [
        ("tokens", ["strict pairs by step", "validation pairs 1.00", "key freq.  block0.ffn.pre"]),
        ("parity", ["training sequences by step", "longer sequences 1.00", "examples   2,046"]),
        ("rules", ["valid samples", "valid groups of new samples", "512 train, 256 validate\n"]),
    ],
)
def test_show_has_for_a_trial_of_any_family_what_it_has(store, run, family, parts):
    import_bundles(store, [bundle.read(ROOT / "results" / family)])
    trial_id = read_table(store, "trials", family).iloc[0]["trial_id"]
    code, out, error = run("show", trial_id, place=store.url)
    assert (code, error) == (0, "")
    assert [part for part in parts if part not in out] == []
    assert "nan" not in out


# --- export, sample -------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [None, 10])
def test_export_leaves_a_folder_that_draws_alone(run, trained_store, tmp_path, step):
    words = [] if step is None else ["--step", str(step)]
    code, out, _ = run("export", TRIAL[:6], str(tmp_path / "model"), *MINE, *words)
    assert (code, f"trial {TRIAL} at step {step or 40}" in out) == (0, True)
    dit = DiT.load(tmp_path / "model")
    trial = open_sweep(trained_store.url, "tiny").trial(TRIAL)
    expected = trial.sample(3, 5, n=2, steps=2, step=step)
    drawn = dit.sample(a=3, b=5, n=2, steps=2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(dit.pixels(drawn), expected)


def test_sample_draws_a_picture_and_says_what_is_read_in_it(run, trained_store, tmp_path):
    out_file = tmp_path / "drawn.png"
    words = ["--a", "3", "--b", "5", "--n", "10", "--steps", "4", "--out", str(out_file)]
    code, out, _ = run("sample", TRIAL[:6], *words)
    assert code == 0
    first, said = out.splitlines()
    assert first == str(out_file)
    trial = open_sweep(trained_store.url, "tiny").trial(TRIAL)
    found = trial.decode(trial.sample(3, 5, 10, 4), 4).tolist()
    assert said.startswith(f"3 + 5 mod 7 is 1 ({trial.bank.labels[1]}); read as ")
    assert said.endswith(f": {found.count(1)} of 10 right")
    assert all(f"{c} ({trial.bank.labels[c]}) {found.count(c)} time" in said for c in found)
    picture = Image.open(io.BytesIO(out_file.read_bytes()))
    assert picture.size == (6 + 8 * 78, 6 + 3 * 94)


def test_a_picture_has_a_name_if_none_is_given(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("sample", TRIAL, "--a", "0", "--b", "1", "--n", "1", "--steps", "1")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{TRIAL[:8]}-a0-b1.png"]


# --- table ----------------------------------------------------------------------------------------


def csv(text):
    return pd.read_csv(io.StringIO(text))


def test_table_without_new_flags_is_as_ever(run):
    out = run("table", *MINE)[1]
    assert out.startswith("| setting | seeds | phases |")


def test_table_of_chosen_trials_in_an_order(run, trained_store):
    trials = read_table(trained_store, "trials", "tiny")
    found = csv(run("table", *MINE, "--csv", "--sort", "seed", "--descending")[1])
    assert list(found["seed"]) == [2, 1, 0]
    assert set(found.columns) == {*trials.columns, "lag"}
    found = csv(run("table", *MINE, "--csv", "--where", "weight_decay >= 2 and P == 7")[1])
    assert list(found["trial_id"]) == [TRIAL]
    assert "| as below | 1 |" in run("table", *MINE, "--where", "seed == 1")[1]
    lines = run("table", *MINE, "--sort", "train_acc_1step")[1].splitlines()
    assert lines[0].endswith("| lag | train_acc_1step |")
    by_value = trials.sort_values(["train_acc_1step", "trial_id"])["trial_id"]
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {i}" for i in by_value]
    assert "> 40" in lines[2]


def test_no_trial_is_an_answer(run):
    assert run("table", *MINE, "--where", "seed > 9")[:2] == (
        0, "no trial of tiny with seed > 9\n",
    )  # fmt: skip
    assert csv(run("table", *MINE, "--where", "seed > 9", "--csv")[1]).empty


# --- transfer -------------------------------------------------------------------------------------


def test_transfer_of_a_trial_to_itself_is_right_in_every_rank(run):
    code, out, _ = run("transfer", TRIAL[:6], TRIAL)
    head, *rows = (line.split() for line in out.splitlines())
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert code == 0
    assert [(row["units"], row["n_small"], row["n_large"]) for row in found] == [
        ("heads", "8", "8"), ("neurons", "16", "16"),
    ]  # fmt: skip
    assert all(float(row["correlation"]) > 0.95 for row in found)


# --- bad words ------------------------------------------------------------------------------------

PAIR = ("--a", "0", "--b", "1")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["show", "xyz"], ["no finished trial 'xyz' in store", TRIAL]),
        (["show", ""], ["'' matches 3 trials", "need more of the id"]),
        (["show", TRIAL, "--sweep", "yours"], ["'yours'", "tiny"]),
        (["export", TRIAL, "model", "--step", "5"], ["step = 5", "0, 10, 20, 30, 40"]),
        (["export", TRIAL, "/dev/null/model"], ["/dev/null/model: cannot write"]),
        (["sample", TRIAL, "--a", "7", "--b", "1"], ["a = 7", "from 0 to 6", "P = 7"]),
        (["sample", TRIAL, *PAIR, "--n", "0"], ["n = 0", "1 or more"]),
        (["sample", TRIAL, *PAIR, "--steps", "0"], ["steps = 0"]),
        (["sample", TRIAL, "--a", "1"], ["required: --b"]),
        (["sample", TRIAL, *PAIR, "--out", "/not/there.png"], ["--out = '/not/there.png'"]),
        (["table", *MINE, "--sort", "vall_acc"], ["--sort = 'vall_acc'", "did you mean val_acc?"]),
        (["table", *MINE, "--descending"], ["--descending", "without --sort"]),
        *((["table", *MINE, "--where", query], [f"--where = {query!r}", "a query over columns"])
          for query in ("", "wd > 1", "P = 7", "P ==", "P", "@x", "P.foo()", "phase > 3", "1 == 1",
                        "seed == 1\nseed == 2", "__import__('os')")),
    ],
)  # fmt: skip
def test_bad_words_are_one_line_that_names_them(run, words, named):
    code, _, error = run(*words)
    assert code == 2
    assert error.count("\n") == 1
    assert all(part in error for part in named), error


def test_a_store_that_is_not_there_is_named(run, tmp_path):
    code, _, error = run("show", TRIAL, place=str(tmp_path / "none"))
    assert (code, "there is no such folder" in error) == (2, True)
    assert not (tmp_path / "none").exists()
