"""What results say of the source that made them is true; a process keeps its memory."""

import platform
import shutil
import subprocess

import pytest

from grokmodel import machine
from tests.environment import ROOT, python


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_commit_is_that_of_the_checkout():
    head = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert machine.source_commit().removesuffix("+changes") == head.stdout.strip()


def test_a_source_without_git_is_of_no_known_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert machine.source_commit() == "unknown"


def test_the_hash_of_the_source_is_of_every_module_of_grokmodel(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "grokmodel", tmp_path / "grokmodel")
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    whole = hash_now()
    module = tmp_path / "grokmodel" / "core" / "optim.py"
    module.write_text(module.read_text() + "\n")
    assert hash_now() != whole
    monkeypatch.undo()
    assert hash_now() == whole


def hash_now():
    machine.source_hash.cache_clear()
    return machine.source_hash()


RESIDENT = """
import os, sys
import torch
from grokmodel.machine import keep_freed_memory, return_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

"""
FREED_MIB = f"""{RESIDENT}
if "keep" in sys.argv:
    keep_freed_memory()
before = resident()
torch.ones(2**26)  # 256 MiB, freed at once
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_a_process_keeps_what_it_frees_once_it_is_told_to():
    given, kept = (float(python("-c", FREED_MIB, *how).stdout) for how in ([], ["keep"]))
    assert given < 64 < 250 < kept


SCATTERED_MIB = f"""{RESIDENT}
before = resident()
blocks = [torch.ones(2**14) for _ in range(4096)]  # 64 KiB each, 256 MiB
blocks = blocks[::64]
if "return" in sys.argv:
    return_freed_memory()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_a_process_gives_back_what_is_free_among_what_is_not():
    kept, given = (float(python("-c", SCATTERED_MIB, *how).stdout) for how in ([], ["return"]))
    assert given < 64 < 200 < kept
