"""`make` hands a store of any name to the commands, from a checkout of any name."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.environment import ROOT

SAY = f"#!{sys.executable}\nimport json, sys; print(json.dumps(sys.argv))\n"


@pytest.fixture(params=["checkout", "a b & c's"])
def checkout(request, tmp_path):
    """A checkout that is set up; its programs say how they were called."""
    folder = tmp_path / request.param
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    for name in ("python", "grok"):
        program = folder / ".venv" / "bin" / name
        program.write_text(SAY)
        program.chmod(0o755)
    (folder / ".venv" / ".run").touch()
    return folder


def make(checkout, *words, **variables):
    """The arguments of the program that make calls."""
    # a make that runs these tests would hand its own flags on, and announce each folder
    ours = ("STORE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    env = {name: value for name, value in os.environ.items() if name not in ours} | variables
    done = subprocess.run(
        ["make", *words], cwd=checkout, env=env, text=True, capture_output=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("store", ["runs", "a b", 'it\'s & "so"; #1', "s3://bucket/prefix"])
@pytest.mark.parametrize("target", ["demo", "smoke", "reproduce", "ui"])
def test_a_store_is_one_word(checkout, target, store):
    words = make(checkout, target, STORE=store)
    assert words[words.index("--store") + 1] == store


def test_store_and_port_can_be_variables_of_make(checkout):
    assert make(checkout, "ui", "STORE=a b", "PORT=5050")[-4:] == [
        *("--store", "a b", "--port", "5050")
    ]
    assert make(checkout, "ui")[-4:] == ["--store", "runs", "--port", "5000"]
