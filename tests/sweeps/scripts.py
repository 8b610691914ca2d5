"""Sweeps with parts that no flag can put in: a script, run in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from tests.environment import user_environment

ROOT = Path(__file__).resolve().parents[2]


def run_script(script, folder):
    """What the script prints last, as JSON; it gets the folder as its argument."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT, env=user_environment(), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
