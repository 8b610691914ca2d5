"""Output that cannot be written is one line, and no end of what is worth more than its words."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from service.store.manifest import write_manifest
from service.tables.writing import write_rows
from tests.environment import (
    GROK,
    GROK_PHASE,
    IN_NAMESPACE,
    ROOT,
    can_mount,
    python,
)
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

COLUMNS = (*GROK, "columns")
SWEEP = [GROK_PHASE, "--preset", "smoke", "--analyses", "none", "--seeds", "1"]
GOES_ON = """
import sys
from pathlib import Path
from service.cli.commands import exit_code

def work():
    for _ in range(3):
        print("x" * 100_000, flush=True)
    Path(sys.argv[1]).touch()
    return 0

sys.exit(exit_code("work", work, is_answer=False))
"""


def streams(redirection):
    """A shell that has changed the streams of what it becomes."""
    return "sh", "-c", f'exec "$0" "$@" {redirection}'


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_cannot_be_written_is_an_error(redirection, reason, unbuffered):
    done = python(*COLUMNS, before=streams(redirection), PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr == f"grok: standard output: {reason}\n"


def test_without_any_stream_the_code_is_all_there_is():
    none = streams("<&- >&- 2>&-")
    assert python(*COLUMNS, before=none).returncode == 1
    assert python(*GROK, "status", "--store", __file__, before=none).returncode == 2


@pytest.mark.cluster
def test_a_sweep_with_a_full_output_is_trained_to_its_end(tmp_path):
    done = python(*SWEEP, before=streams(">/dev/full"), GROK_STORE=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "grok_phase: standard output: No space left on device" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert len(pd.read_parquet(tmp_path / "store" / "tables" / "trials"))


def test_what_goes_on_without_its_reader_says_so(tmp_path):
    command = [sys.executable, "-c", GOES_ON, str(tmp_path / "done")]
    work = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    work.stdout.close()
    assert work.wait(60) == 0
    assert work.stderr.read() == "work: standard output: Broken pipe\n"
    work.stderr.close()
    assert (tmp_path / "done").exists()


@pytest.mark.skipif(not can_mount(), reason="needs a mount namespace")
def test_analyses_for_a_read_only_store_are_refused_before_they_begin(store):
    config = tiny_config()
    write_manifest(store, "mine", [config], "1")
    write_rows(store, "trials", "mine", [finished_row(config)])
    bind = f"mount --bind {store.url} {store.url} && mount -o remount,bind,ro {store.url}"
    done = python(
        *GROK, "analyze", "--sweep", "mine", "--store", store.url,
        before=(*IN_NAMESPACE, f'{bind} && exec "$0" "$@"'),
        RAY_ADDRESS="127.0.0.1:1",  # where it would have to say that nobody is there
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "Read-only file system" in line


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be a user of no list"
)
def test_a_user_without_a_home_is_told_what_to_set(tmp_path):
    become = "exec setpriv --reuid 54321 --clear-groups --inh-caps +dac_read_search "
    become += '--ambient-caps +dac_read_search env -u HOME "$0" "$@"'
    tmp_path.chmod(0o777)
    done = python(*SWEEP, before=("sh", "-c", become), GROK_STORE=tmp_path / "store")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("grok_phase: need HOME to be set")
    assert "Traceback" not in done.stderr
