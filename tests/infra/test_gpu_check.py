"""What is done with a borrowed GPU, tried on the CPU."""

import json
import time

import pytest
import torch

from infra import gpu_check
from infra.gpu_check import Checks, call, difference, measured, small_config
from service.results import run_results
from tests.environment import python


def test_results_are_right_on_this_cpu(capsys):
    checks = Checks(small_config(quick=True), torch.device("cpu")).all()
    assert [check.name for check in checks if not check.is_right] == []
    assert len(capsys.readouterr().out.splitlines()) == len(checks)


def test_a_check_that_fails_or_finds_no_number_is_wrong(capsys):
    def fail():
        raise RuntimeError("no kernel image")

    for check in (fail, lambda: float("nan"), lambda: 0.2):
        assert not measured("a check", 0.1, check).is_right
    said = capsys.readouterr()
    assert said.out.count("WRONG") == 3
    assert "RuntimeError: no kernel image" in said.err
    right = torch.tensor([[3.0, 4.0], [2.0, 0.0]])
    assert difference(right - torch.tensor([[0.0, 0.0], [1.0, 0.0]]), right) == 0.5


def test_a_part_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(gpu_check, "GRACE_S", 0.3)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(99)"
    started = time.monotonic()
    assert call(["-c", stubborn], 0.5, grace_s=0.1) != 0
    assert call(["-c", "raise SystemExit(3)"], 30) == 3
    assert time.monotonic() - started < 30


def test_a_plan_that_is_none_is_said_before_anything_is_measured(tmp_path, capsys):
    out, plan = tmp_path / "out", tmp_path / "plan.zip"
    assert gpu_check.main(["--device", "cpu", "--plan", str(plan), "--out", str(out)]) == 2
    assert "plan.zip" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_the_whole_of_it(tmp_path):
    done = python("infra/gpu_check.py", "--device", "cpu", "--quick", "--minutes", "4",
                  "--out", str(tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    body = json.loads((tmp_path / "checks.json").read_text())
    assert body["exit codes"] == {"fused_training": 0, "run": 0}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) <= gpu_check.FILES
    (files,) = run_results.find(tmp_path)
    (bundle,) = run_results.read(files)
    assert len(bundle.runs) == 3
    done = bundle.tables["analyses"].to_pylist()
    assert {row["analysis"] for row in done} == set(gpu_check.ANALYSES)
