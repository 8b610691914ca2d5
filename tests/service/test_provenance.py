"""A driver says what program it is, and whether it was submitted."""

import sys

import pytest

from service import provenance
from tests.environment import ROOT


@pytest.mark.parametrize(
    ("argument", "name"),
    [(f"{ROOT}/sweeps/grok_phase.py", "sweeps/grok_phase.py"), ("sweeps/a.py", "sweeps/a.py"),
     (f"{ROOT}/.venv/bin/grok", "grok"), ("/elsewhere/of/mine.py", "mine.py")],
)  # fmt: skip
def test_a_program_is_named_by_its_path_in_the_source(monkeypatch, argument, name):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [argument, "--name", "x"])
    assert provenance.program() == name


def test_a_submitted_job_is_one(monkeypatch):
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert not provenance.is_submitted()
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert provenance.is_submitted()
