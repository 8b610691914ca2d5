"""`grok` and the sweep script as a user meets them: answers and errors."""

import json
import os
import subprocess
import sys

import pytest
import ray

from service.cli import commands
from service.store import keys
from service.tables.reading import write_rows
from sweeps import grok_phase
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


@pytest.fixture
def sweep(store):
    configs = [tiny_config(seed=s) for s in range(3)]
    manifest = {"experiment_id": "1", "trials": {c.trial_id: c.to_dict() for c in configs}}
    store.put(keys.sweep_key("mine", "1"), json.dumps(manifest).encode())
    write_rows(store, "curves", "mine", finished_curve(configs[0]))
    write_rows(store, "trials", "mine", [finished_row(configs[0])])
    return store


def test_status_counts_done_and_planned(sweep, capsys):
    assert commands.main(["status", "--store", sweep.url]) == 0
    out = capsys.readouterr().out
    assert "mine: 1 of 3 trials done" in out
    assert finished_row(tiny_config())["phase"] in out


def test_status_of_an_empty_store_says_how_to_start(store, capsys):
    assert commands.main(["status", "--store", store.url]) == 0
    assert "grok_phase.py --preset demo" in capsys.readouterr().out


def test_a_reader_that_has_enough_ends_a_command_without_a_word():
    """As in `grok status | head -1`."""
    command = [sys.executable, "-m", "service.cli.commands", "columns"]
    grok = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    grok.stdout.close()
    assert grok.wait(60) == 141
    assert grok.stderr.read() == ""
    grok.stderr.close()


def test_status_for_programs(sweep, capsys):
    assert commands.main(["status", "--json", "--store", sweep.url]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["sweep"], found["done"], found["planned"]) == ("mine", 1, 3)
    assert found["state"] == "unknown"
    assert commands.main(["status", "--json", "--sweep", "yours", "--store", sweep.url]) == 2


def test_status_for_programs_of_an_empty_store(store, capsys):
    assert commands.main(["status", "--json", "--store", store.url]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_compact_merges_parts_that_have_settled(sweep, capsys):
    write_rows(sweep, "trials", "mine", [finished_row(tiny_config(seed=1))])
    args = ["compact", "--sweep", "mine", "--table", "trials", "--store", sweep.url]
    assert commands.main(args) == 0
    assert "nothing to merge" in capsys.readouterr().out
    for key in sweep.list("tables"):
        os.utime(sweep.path(key), (1e9, 1e9))
    assert commands.main(args) == 0
    assert "trials of mine: 2 parts are 1 now" in capsys.readouterr().out
    assert commands.main(["compact", "--sweep", "yours", "--store", sweep.url]) == 2
    with pytest.raises(SystemExit):
        commands.main(["compact", "--table", "failures", "--store", sweep.url])


def test_gc_lists_and_deletes_only_when_told(sweep, capsys):
    assert commands.main(["gc", "--store", sweep.url]) == 0
    assert "nothing in" in capsys.readouterr().out
    key = keys.state_key("nobody")
    sweep.put(key, b"12345")
    assert commands.main(["gc", "--older-than", "0", "--store", sweep.url]) == 0
    out = capsys.readouterr().out
    assert key in out
    assert "5 B would be freed by: grok gc --delete" in out
    assert sweep.exists(key)
    assert commands.main(["gc", "--older-than", "0", "--delete", "--store", sweep.url]) == 0
    assert "5 B freed" in capsys.readouterr().out
    assert not sweep.exists(key)


@pytest.mark.parametrize("hours", ["-1", "day", "nan", "inf", ""])
def test_gc_wants_hours(sweep, capsys, hours):
    with pytest.raises(SystemExit) as ended:
        commands.main(["gc", f"--older-than={hours}", "--store", sweep.url])
    assert ended.value.code == 2
    assert "need hours, 0 or more" in capsys.readouterr().err


def test_gc_deletes_nothing_when_a_manifest_is_damaged(sweep, capsys):
    sweep.put(keys.state_key("nobody"), b"x")
    sweep.put(keys.sweep_key("mine", "1"), b'{"tri')
    assert commands.main(["gc", "--older-than", "0", "--delete", "--store", sweep.url]) == 2
    assert "mine/1.json: damaged" in capsys.readouterr().err
    assert sweep.exists(keys.state_key("nobody"))


def test_doctor_of_a_good_and_of_a_bad_store(sweep, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert commands.main(["doctor", "--store", sweep.url]) == 0
    assert "all is well" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert commands.main(["doctor", "--store", str(tmp_path / "file")]) == 1
    assert "is a file" in capsys.readouterr().out


def test_an_unknown_sweep_is_named_with_the_known_ones(sweep, capsys):
    assert commands.main(["figures", "--sweep", "yours", "--store", sweep.url]) == 2
    error = capsys.readouterr().err
    assert "'yours'" in error
    assert "mine" in error


def test_figures_over_chosen_axes(sweep, capsys):
    args = ["figures", "--sweep", "mine", "--x", "P", "--y", "width", "--store", sweep.url]
    assert commands.main(args) == 0
    assert "phase-P-width.png" in capsys.readouterr().out


def test_figures_over_an_unknown_axis(sweep, capsys):
    args = ["figures", "--sweep", "mine", "--x", "colour", "--y", "P", "--store", sweep.url]
    assert commands.main(args) == 2
    assert "--x = 'colour'" in capsys.readouterr().err


def test_an_unknown_analysis_is_named_with_the_known_ones(sweep, capsys):
    args = ["analyze", "--sweep", "mine", "--only", "heads,spectre", "--store", sweep.url]
    assert commands.main(args) == 2
    error = capsys.readouterr().err
    assert "--only = 'spectre'" in error
    assert "learning_coefficient" in error


@pytest.mark.parametrize("levels", ["1.5", "-0.1", "high", "", "0,,1", "nan"])
def test_noise_levels_outside_of_0_to_1_are_refused(sweep, capsys, levels):
    args = ["analyze", "--sweep", "mine", f"--t={levels}", "--store", sweep.url]
    with pytest.raises(SystemExit) as ended:
        commands.main(args)
    assert ended.value.code == 2
    assert "need noise levels from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize("names", ["", ",", " , "])
def test_no_names_of_analyses_are_an_error(sweep, capsys, names):
    with pytest.raises(SystemExit) as ended:
        commands.main(["analyze", "--sweep", "mine", f"--only={names}", "--store", sweep.url])
    assert ended.value.code == 2
    assert "need names such as" in capsys.readouterr().err


def test_noise_levels_are_for_spectra(sweep, capsys):
    args = ["analyze", "--sweep", "mine", "--only", "heads", "--t", "0.25", "--store", sweep.url]
    assert commands.main(args) == 2
    assert "--t = (0.25,)" in capsys.readouterr().err


def test_a_sweep_without_a_trained_trial_has_nothing_to_analyse(store, capsys):
    manifest = {"experiment_id": "1", "trials": {}}
    store.put(keys.sweep_key("empty", "1"), json.dumps(manifest).encode())
    assert commands.main(["analyze", "--sweep", "empty", "--store", store.url]) == 2
    assert "no trial of 'empty'" in capsys.readouterr().err


def test_data_that_are_missing_are_named_before_anything_is_analysed(sweep, tmp_path, capsys):
    config = tiny_config(data="emnist")
    write_rows(sweep, "trials", "mine", [finished_row(config)])
    args = ["analyze", "--sweep", "mine", "--store", sweep.url, "--data-root", str(tmp_path)]
    assert commands.main(args) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"grok: {tmp_path}/emnist-bymerge-train-images")
    assert "not found" in error
    assert "--data-root" in error
    assert error.count("\n") == 1
    assert not ray.is_initialized()
    assert sweep.list("tables/failures") == []


def test_figures_are_drawn_without_the_tracking_server(sweep, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert commands.main(["figures", "--sweep", "mine", "--store", sweep.url]) == 0
    found = capsys.readouterr()
    assert "report.html" in found.out
    assert "does not answer" in found.err
    assert "secret" not in found.err + found.out


def test_a_trial_to_draw_that_is_not_there_is_named(sweep, capsys):
    args = ["figures", "--sweep", "mine", "--trials", "0123456789abcdef", "--store", sweep.url]
    assert commands.main(args) == 2
    assert "--trials = '0123456789abcdef'" in capsys.readouterr().err


def test_costs_name_what_was_done_and_the_training(sweep, capsys):
    of = {name: finished_row(tiny_config())[name] for name in ("trial_id", "run_id")}
    row = {**of, "analysis": "heads", "settings": "", "checkpoints": 1}
    write_rows(sweep, "analyses", "mine", [row | {"seconds": 0.25, "device": "cpu"}])
    assert commands.main(["costs", "--sweep", "mine", "--store", sweep.url]) == 0
    out = capsys.readouterr().out
    assert "| heads | all P² pairs at t = 1" in out
    assert "| 1 | 0.25 |" in out
    assert "| training | | | 2.00 |" in out


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--P", "2"], ["P = 2", "from 3 to 256"]),
        (["--op", "div", "--P", "8"], ["P = 8", "prime"]),
        (["--train-fraction", "1.5"], ["train_fraction = 1.5", "(0, 1)"]),
        (["--width", "30", "--heads", "4"], ["heads = 4", "divisor of width = 30"]),
        (["--P", "99"], ["P = 99", "62"]),
        (["--op", "plus"], ["op = 'plus'", "add, sub, mul, div"]),
        (["--data", "emnist"], ["emnist-bymerge-train-images", "not found", "--data-root"]),
        (["--seeds", "0"], ["--seeds = 0", "from 1 to"]),
        (["--seeds", "1000000000"], ["--seeds = 1000000000", "from 1 to"]),
        (["--seeds", "1000000", "--P", "7", "11"], ["grid of 2000000 trials", "at most"]),
        (["--width", "10000000"], ["width = 10000000", "from 2 to"]),
        (["--sample-steps", "100000"], ["sample_steps = 100000", "from 1 to 1000"]),
        (["--name", ""], ["--name = ''"]),
        (["--name", "../x"], ["--name = '../x'"]),
        (["--steps", "100"], ["steps = 100", "multiple of eval_every"]),
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


@pytest.mark.parametrize("body", [b'{"tri', b"{}", b"[]"])
def test_a_damaged_manifest_is_named_with_the_way_out(sweep, capsys, body):
    sweep.put(keys.sweep_key("mine", "1"), body)
    assert commands.main(["status", "--store", sweep.url]) == 2
    error = capsys.readouterr().err
    assert "sweeps/mine/1.json: damaged" in error
    assert "delete it and run the sweep again" in error


def test_a_store_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert commands.main(["status", "--store", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err


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
