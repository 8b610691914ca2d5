"""`grok` and the sweep script as a user meets them: answers and errors."""

import json
import os
import subprocess
import sys
import webbrowser

import pytest
import ray

from service.store import keys
from service.store.manifest import write_manifest
from service.tables.reading import read_table
from service.tables.writing import write_rows
from sweeps import grok_phase
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


@pytest.fixture
def sweep(store):
    configs = [tiny_config(seed=s) for s in range(3)]
    write_manifest(store, "mine", configs, "1")
    write_rows(store, "curves", "mine", finished_curve(configs[0]))
    write_rows(store, "trials", "mine", [finished_row(configs[0])])
    return store


@pytest.fixture
def run(store, run_on):
    return run_on(store)


def test_status_counts_done_and_planned(sweep, run):
    code, out, _ = run("status")
    assert code == 0
    assert "mine: 1 of 3 trials done" in out
    assert finished_row(tiny_config())["phase"] in out
    (found,) = json.loads(run("status", "--json")[1])
    assert (found["sweep"], found["done"], found["planned"]) == ("mine", 1, 3)
    assert found["state"] == "unknown"


def test_status_of_an_empty_store_says_how_to_start(run):
    code, out, _ = run("status")
    assert (code, "grok_phase.py --preset demo" in out) == (0, True)
    assert json.loads(run("status", "--json")[1]) == []


def test_a_reader_that_has_enough_ends_a_command_without_a_word():
    """As in `grok status | head -1`."""
    command = [sys.executable, "-m", "service.cli.commands", "columns"]
    grok = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    grok.stdout.close()
    assert grok.wait(60) == 141
    assert grok.stderr.read() == ""
    grok.stderr.close()


def test_compact_merges_parts_that_have_settled(sweep, run):
    write_rows(sweep, "trials", "mine", [finished_row(tiny_config(seed=1))])
    args = ["compact", "--sweep", "mine", "--table", "trials"]
    code, out, _ = run(*args)
    assert (code, "nothing to merge" in out) == (0, True)
    for key in sweep.list("tables"):
        os.utime(sweep.path(key), (1e9, 1e9))
    code, out, _ = run(*args)
    assert (code, "trials of mine: 2 parts are 1 now" in out) == (0, True)


def test_gc_lists_and_deletes_only_when_told(sweep, run):
    assert "nothing in" in run("gc")[1]
    key = keys.state_key("nobody")
    sweep.put(key, b"12345")
    code, out, _ = run("gc", "--older-than", "0")
    assert code == 0
    assert key in out
    assert "5 B would be freed by: grok gc --delete" in out
    assert sweep.exists(key)
    assert "5 B freed" in run("gc", "--older-than", "0", "--delete")[1]
    assert not sweep.exists(key)


def test_gc_deletes_nothing_when_a_manifest_is_damaged(sweep, run):
    sweep.put(keys.state_key("nobody"), b"x")
    sweep.put(keys.sweep_key("mine", "1"), b'{"tri')
    code, _, error = run("gc", "--older-than", "0", "--delete")
    assert (code, "mine/1.json: damaged" in error) == (2, True)
    assert sweep.exists(keys.state_key("nobody"))


def test_results_go_from_store_to_store(sweep, run, tmp_path):
    code, out, _ = run("export-results", "mine", "--out", str(tmp_path / "results"))
    assert (code, f"{tmp_path}/results/mine: 1 trial, " in out) == (0, True)
    assert "where they were trained is not known" in out
    other = str(tmp_path / "other")
    for folder in ("results", "results/mine"):
        code, out, _ = run("import-results", str(tmp_path / folder), place=other)
        assert (code, "mine: " in out) == (0, True)
    assert "mine: 1 of 3 trials done" in run("status", place=other)[1]


def test_figures_over_chosen_axes_in_every_format(sweep, run, tmp_path):
    write_rows(sweep, "trials", "mine", [finished_row(tiny_config(P=p, width=w))
                                         for p in (7, 11) for w in (16, 32)])  # fmt: skip
    out = tmp_path / "drawn"
    code, said, _ = run("figures", "--sweep", "mine", "--x", "P", "--y", "width",
                        "--format", "png", "svg", "pdf", "--out", str(out))  # fmt: skip
    assert code == 0
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert {path.name for path in out.iterdir()} == {
        f"{name}-P-width{kind}" for name in ("phase", "grok-step") for kind in starts
    }
    for path in out.iterdir():
        assert str(path) in said
        assert path.read_bytes().startswith(starts[path.suffix])


MINE = ("--sweep", "mine")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["status", "--json", "--sweep", "yours"], ["'yours'", "mine"]),
        (["compact", "--sweep", "yours"], ["'yours'"]),
        (["compact", "--table", "failures"], ["invalid choice"]),
        (["figures", *MINE, "--x", "color", "--y", "P"], ["--x = 'color'"]),
        (["figures", *MINE, "--trials", "0123456789abcdef"], ["no finished trial '0123456789ab"]),
        (["figures", "training", *MINE], ["figure = 'training'", "add --trials"]),
        (["figures", "phases", *MINE], ["figure = 'phases'", "one of phase, grok-step"]),
        (["export-results", "mine", "yours"], ["'yours'", "mine"]),
        (["export-results", "mine", "--tables", "colors"], ["'colors'", "spectra"]),
        (["import-results", "/nowhere/at/all"], ["/nowhere/at/all", "bundle.json"]),
        (["analyze", *MINE, "--only", "heads,spectre"], ["--only = 'spectre'", "complexity"]),
        (["analyze", *MINE, "--only", "heads", "--t", "0.25"], ["--t = (0.25,)"]),
        *((["gc", f"--older-than={hours}"], ["need hours, 0 or more"])
          for hours in ("-1", "day", "nan", "inf", "")),
        *((["analyze", *MINE, f"--t={levels}"], ["need noise levels from 0 to 1"])
          for levels in ("1.5", "-0.1", "high", "", "0,,1", "nan")),
        *((["analyze", *MINE, f"--only={names}"], ["need names such as"])
          for names in ("", ",", " , ")),
    ],
)  # fmt: skip
def test_bad_words_are_one_line_that_names_them(sweep, run, words, named):
    code, _, error = run(*words)
    assert code == 2
    assert error.count("\n") == 1
    assert all(part in error for part in named), error


def test_a_sweep_without_a_trained_trial_has_nothing_to_analyze(store, run):
    write_manifest(store, "empty", [], "1")
    code, _, error = run("analyze", "--sweep", "empty")
    assert (code, "no trial of 'empty'" in error) == (2, True)


def test_data_that_are_missing_are_named_before_anything_is_analyzed(sweep, tmp_path, run):
    write_rows(sweep, "trials", "mine", [finished_row(tiny_config(data="emnist"))])
    code, _, error = run("analyze", *MINE, "--data-root", str(tmp_path))
    assert code == 2
    assert error.startswith(f"grok: {tmp_path}/emnist-bymerge-train-images")
    assert all(part in error for part in ("not found", "--data-root"))
    assert error.count("\n") == 1
    assert not ray.is_initialized()
    assert sweep.list("tables/failures") == []


def test_figures_are_drawn_without_the_tracking_server(sweep, run, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)
    code, out, error = run("figures", *MINE)
    assert (code, out) == (0, "figures/mine/curves.png\n")
    assert error == ""


def test_the_page_is_opened_at_the_trial_that_is_asked_for(sweep, run, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert run("open")[0] == 2  # there is none yet
    trial_id = read_table(sweep, "trials", "mine")["trial_id"].iloc[0]
    for other in ("mine", "other"):
        sweep.put(f"figures/{other}/report.html", b"<html>")
    code, out, _ = run("open", trial_id[:5])
    address = f"file://{sweep.path('figures/mine/report.html')}#{trial_id}"
    assert (code, out, opened) == (0, f"open {address}\n", [address])
    assert run("open", "nobody")[0] == 2


def test_of_a_sweep_without_a_page_as_after_an_import_it_is_drawn(sweep, run, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert run("open", *MINE)[0] == 0
    assert opened == [f"file://{sweep.path('figures/mine/report.html')}"]
    assert b"<html" in sweep.get("figures/mine/report.html")[:100]


def test_costs_name_what_was_done_and_the_training(sweep, run):
    of = {name: finished_row(tiny_config())[name] for name in ("trial_id", "run_id")}
    row = {**of, "analysis": "heads", "settings": "", "checkpoints": 1}
    write_rows(sweep, "analyses", "mine", [row | {"seconds": 0.25, "device": "cpu"}])
    code, out, _ = run("costs", *MINE)
    assert code == 0
    for part in ("| heads | all P² pairs at t = 1", "| 1 | 0.25 |", "| training | | | 2.00 |"):
        assert part in out


@pytest.mark.parametrize("body", [b'{"tri', b"{}", b"[]"])
def test_a_damaged_manifest_is_named_with_the_way_out(sweep, run, body):
    sweep.put(keys.sweep_key("mine", "1"), body)
    code, _, error = run("status")
    assert code == 2
    assert "sweeps/mine/1.json: damaged" in error
    assert "delete it and run the sweep again" in error


def test_a_store_that_is_a_file_is_refused(tmp_path, run):
    (tmp_path / "file").write_text("")
    code, _, error = run("status", place=str(tmp_path / "file"))
    assert (code, "is a file" in error) == (2, True)


# --- the script of a sweep -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--P", "2"], ["P = 2", "from 3 to 256"]),
        (["--width", "30", "--heads", "4"], ["heads = 4", "divisor of width = 30"]),
        (["--op", "plus"], ["op = 'plus'", "add, sub, mul, div"]),
        (["--data", "emnist"], ["emnist-bymerge-train-images", "not found", "--data-root"]),
        (["--seeds", "0"], ["--seeds = 0", "from 1 to"]),
        (["--seeds", "1000000", "--P", "7", "11"], ["grid of 2000000 trials", "at most"]),
        (["--name", ""], ["--name = ''"]),
        (["--name", "../x"], ["--name = '../x'"]),
        (["--store", "ftp://x"], ["ftp://x", "folder or s3://"]),
    ],
)
def test_bad_flags_give_one_clear_line_and_leave_nothing(flags, named, tmp_path, capsys):
    args = ["--data-root", str(tmp_path), "--store", str(tmp_path / "store"), *flags]
    assert grok_phase.main(args) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(part in error for part in named), error
    assert not (tmp_path / "store").exists()


def test_an_unknown_flag_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        grok_phase.main(["--weight_decai", "1"])
    assert stop.value.code == 2
    assert "--weight_decai" in capsys.readouterr().err


def test_flags_override_a_preset(tmp_path):
    args = grok_phase.build_parser().parse_args(["--preset", "smoke", "--P", "7", "13"])
    configs = grok_phase.preset_configs(args.preset, grok_phase.overrides(args))
    assert {c.P for c in configs} == {7, 13}
    assert {c.width for c in configs} == {32}


def test_dry_run_prints_the_plan_and_starts_nothing(tmp_path, capsys):
    args = ["--preset", "smoke", "--dry-run", "--store", str(tmp_path / "store")]
    assert grok_phase.main(args) == 0
    out = capsys.readouterr().out
    for part in ("trials        4", "to train      4", "CPU", "ms per step", "at most"):
        assert part in out
    assert not (tmp_path / "store").exists()
