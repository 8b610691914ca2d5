"""What is wrong with the user's data is told as such, also when a Ray task finds it."""

import json
import re
import subprocess
import sys

import pytest

from tests.environment import user_environment
from tests.grokmodel.data_files import write_two_alike
from tests.sweeps.scripts import ROOT

pytestmark = pytest.mark.cluster

FLAGS = ["--name", "alike", "--data", "kuzushiji49", "--P", "7", "--N", "2", "--side", "8"]
REFUSAL = r"the decoder of 7 symbols reads 0\.\d+ of the held-out images; need 0\.98"


def test_a_sweep_without_a_decoder_ends_with_one_line(tmp_path):
    write_two_alike(tmp_path)
    done = subprocess.run(
        [sys.executable, str(ROOT / "sweeps" / "grok_phase.py"), *FLAGS], cwd=ROOT,
        env=user_environment(GROK_STORE=str(tmp_path / "store"), GROK_DATA=str(tmp_path)),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.match(f"grok_phase: {REFUSAL}", done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert "ray::" not in done.stderr
    (beat,) = tmp_path.glob("store/progress/alike/*.json")  # what `grok status` shows
    assert re.match(REFUSAL, json.loads(beat.read_text())["error"])
