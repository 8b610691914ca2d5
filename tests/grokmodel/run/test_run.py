"""A plan that is trained by torch alone: stopped or killed at any moment, it ends as if it had not
been."""

import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from grokmodel.core.pack_size import Measured
from grokmodel.run import archive, output, results
from grokmodel.run.__main__ import LEFT
from grokmodel.run.plan import PLAN
from grokmodel.run.runner import RECENT, Limits, Runner
from tests.environment import ROOT, TIMEOUT_S, user_environment
from tests.grokmodel.runs import CONFIGS, left, names, plan_of, run
from tests.grokmodel.tiny import tiny

ABSENT = ("ray", "mlflow", "pyarrow", "PIL", "matplotlib", "pandas", "boto3", "optuna", "jinja2",
          "pybdm", "tqdm", "service", "sweeps")  # fmt: skip
BARE = f"""
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
runpy.run_module("grokmodel.run", run_name="__main__", alter_sys=True)
"""
"""`python -m grokmodel.run` where nothing is installed but torch, numpy and safetensors."""


def started(plan, out, *flags):
    return subprocess.Popen(
        [sys.executable, "-c", BARE, str(plan), "--out", str(out), *flags], cwd=ROOT, text=True,
        env=user_environment(OMP_NUM_THREADS=1, MKL_NUM_THREADS=1, CUDA_VISIBLE_DEVICES=""),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_for(condition, process):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_leaves_every_trial_in_one_file_and_is_not_run_twice(plan, whole, capsys):
    assert names(whole) == ["results-1.zip"]
    found = left(whole)
    assert found.keys() == {c.trial_id for c in CONFIGS}
    for config in CONFIGS:
        row, curve, samples, _ = found[config.trial_id]
        steps = list(range(0, config.steps + 1, config.eval_every))
        assert [e["step"] for e in curve] == steps
        assert row["steps_run"] == config.steps
        kept = [s for s in steps if s != 25 and s != 35]  # log-spaced
        assert sorted({s["step"] for s in samples}) == kept
        assert all(len(s["image"]) == config.side**2 for s in samples)
    before = (whole / "results-1.zip").read_bytes()
    assert run(plan, whole) == 0
    assert "4 done already, 0 to train" in capsys.readouterr().out
    assert (whole / "results-1.zip").read_bytes() == before


def test_stopped_after_every_round_it_ends_as_if_it_had_not_been(plan, whole, tmp_path, capsys):
    codes = []
    while not codes or codes[-1]:
        codes.append(run(plan, tmp_path, "--minutes", "1e-9", "--checkpoints", "all"))
        assert len(names(tmp_path)) <= 2
    assert codes[:-1] == [LEFT] * (len(codes) - 1)
    assert len(codes) > 8
    assert left(tmp_path) == left(whole)
    assert "the same command goes on" in capsys.readouterr().out
    facts = results.read_results(tmp_path / "results-1.zip").trained_on
    assert facts[0]["version.torch"] == torch.__version__
    assert not {"host", "user"} & facts[0].keys()


@pytest.mark.cluster
def test_killed_then_told_to_stop_it_ends_as_if_it_had_not_been(tmp_path):
    """In a Python that has torch, numpy and safetensors only."""
    configs = [tiny(seed=seed, steps=240, eval_every=10) for seed in range(2)]
    plan, out = plan_of(tmp_path / "plan.zip", *configs), tmp_path / "out"
    killed = started(plan, out, "--save-every", "0.05")
    wait_for(lambda: len(list(out.glob("resume-*.zip"))) > 0, killed)
    killed.kill()
    killed.communicate()
    assert not list(out.glob("results-*"))
    (out / f"{archive.UNFINISHED}resume-9.zip").write_bytes(b"half a")
    told = started(plan, out)
    wait_for(lambda: not list(out.glob(f"{archive.UNFINISHED}*")), told)
    assert "a pack of 2" in told.stdout.readline() + told.stdout.readline()
    told.send_signal(signal.SIGTERM)
    said, _ = told.communicate(timeout=TIMEOUT_S)
    assert (told.returncode, "trials are left" in said) == (LEFT, True), said
    assert len(names(out)) == 1
    assert run(plan, out) == 0
    assert run(plan, tmp_path / "whole") == 0
    assert left(out) == left(tmp_path / "whole")


def test_files_are_few_and_small_and_rows_are_never_left_out(
    plan, whole, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(output, "LIMIT", 60_000)
    assert run(plan, tmp_path / "no", "--files", 0) == 0
    assert len(names(tmp_path / "no")) > 2
    assert left(tmp_path / "no").keys() == left(whole).keys()
    assert run(plan, tmp_path / "two", "--files", 2) == 0
    said = capsys.readouterr().out
    assert "weights of 3 of 4 trials do not fit in 2 files" in said
    found = left(tmp_path / "two")
    for trial_id, parts in left(whole).items():
        assert found[trial_id][:3] == parts[:3]
    assert sum(parts[3] != "[]" for parts in found.values()) == 1
    (only,) = (tmp_path / "two").iterdir()  # rows to come had been left room
    assert only.stat().st_size <= output.LIMIT
    # of three files two have room for weights, but none for those of the widest
    assert run(plan, tmp_path / "three", "--files", 3) == 0
    assert "weights of 2 of 4 trials do not fit in 3 files" in capsys.readouterr().out
    assert all(path.stat().st_size <= output.LIMIT for path in (tmp_path / "three").iterdir())
    assert left(tmp_path / "three").keys() == left(whole).keys()


def test_states_that_do_not_fit_start_again(plan, whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(output, "LIMIT", 60_000)
    assert run(plan, tmp_path, "--minutes", "1e-9", "--files", 2) == LEFT
    said = capsys.readouterr().out
    assert (
        "resume points of 1 of 3 unfinished trials do not fit in 2 files: these trials start again"
        in said
    )
    assert len(names(tmp_path)) == 2
    assert run(plan, tmp_path, "--checkpoints", "all", "--files", 0) == 0
    rows = {i: parts[:3] for i, parts in left(whole).items()}
    assert {i: parts[:3] for i, parts in left(tmp_path).items()} == rows


def test_without_checkpoints_there_are_the_same_rows(plan, whole, tmp_path):
    assert run(plan, tmp_path, "--checkpoints", "none", "--members", 3) == 0
    assert not [n for n in archive.Archive(tmp_path / "results-1.zip", "").names if "step=" in n]
    assert {i: parts[:3] for i, parts in left(tmp_path).items()} == {
        i: parts[:3] for i, parts in left(whole).items()
    }


# --- what cannot be used -------------------------------------------------------------------------


def refusal(capsys, *command):
    """The one line that is said of bad input."""
    try:
        code = run(*command)
    except SystemExit as ended:
        code = ended.code
    line, *more = capsys.readouterr().err.splitlines()
    assert (code, more) == (2, [])
    return line


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "soon"])
def test_minutes_are_above_none(plan, tmp_path, capsys, minutes):
    line = refusal(capsys, plan, tmp_path, f"--minutes={minutes}")
    assert f"'{minutes}': need a number above 0" in line
    assert names(tmp_path) == []


def test_a_gpu_that_is_not_there_is_said(plan, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "torch sees no GPU here" in refusal(capsys, plan, tmp_path, "--device", "cuda")


def test_a_folder_that_cannot_be_written_is_named(plan, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "in it"):
        line = refusal(capsys, plan, out)
        assert str(out) in line
        assert "need a folder to write to" in line


def test_a_folder_with_results_of_another_plan_is_left_alone(plan, whole, tmp_path, capsys):
    other = plan_of(tmp_path / "other.zip", tiny(seed=9), sweep="other")
    before = (whole / "results-1.zip").read_bytes()
    assert "is of another plan (sweep far)" in refusal(capsys, other, whole)
    assert (whole / "results-1.zip").read_bytes() == before


def test_damaged_results_are_named_and_kept(plan, whole, tmp_path, capsys):
    data = bytearray((whole / "results-1.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "results-1.zip").write_bytes(data)
    line = refusal(capsys, plan, tmp_path)
    assert "results-1.zip" in line
    assert "is damaged" in line
    assert (tmp_path / "results-1.zip").read_bytes() == data


def test_a_resume_point_of_another_config_means_a_fresh_start(plan, whole, tmp_path, caplog):
    assert run(plan, tmp_path, "--minutes", "1e-9") == LEFT
    path = next(tmp_path.glob("resume-*"))
    found = archive.Archive(path, "")
    parts = {name: found.read(name) for name in found.names}
    first, second, *_ = [name for name in parts if name.endswith(results.STATE)]
    archive.write(path, parts | {first: parts[second]})
    assert run(plan, tmp_path, "--checkpoints", "all") == 0
    assert f"starting trial {first.split('/')[0]} afresh" in caplog.text
    assert {i: parts[:3] for i, parts in left(tmp_path).items()} == {
        i: parts[:3] for i, parts in left(whole).items()
    }


def test_the_plan_stands_in_the_results(plan, whole):
    mine, its = (archive.Archive(path, "") for path in (whole / "results-1.zip", plan))
    assert mine.read(PLAN) == its.read(PLAN)


def runner_of(seconds):
    """A runner of nothing, with so much time."""
    empty = SimpleNamespace(configs=[], unfinished={}, inputs=None)
    limits = Limits(until=time.monotonic() + seconds)
    return Runner(empty, empty, torch.device("cpu"), limits, lambda: False, print)


def test_a_pack_is_no_larger_than_can_be_trained_in_time():
    best = Measured(members=8, seconds=0.1, peak_bytes=0)
    assert runner_of(60)._in_time(best, steps=500) == 8
    assert runner_of(25.1)._in_time(best, steps=500) == 4
    assert runner_of(1)._in_time(best, steps=500) == 1


def test_a_round_that_was_slow_once_is_soon_forgotten():
    """As the one in which a step was compiled."""
    runner = runner_of(60)
    runner.rounds = 1
    runner.recent.append(100.0)
    assert runner._is_late()
    runner.recent.extend([1.0] * RECENT)
    assert not runner._is_late()
