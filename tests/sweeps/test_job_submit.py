"""`ray job submit` against a Ray head with token authentication, as the README says."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
START_S, JOB_S = 90, 300


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def head():
    """(dashboard address, environment, folder) of a running head that asks for its token."""
    folder = Path(tempfile.mkdtemp(prefix="gr-", dir="/tmp"))  # Ray's socket paths must be short
    env = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "GROK_", "MLFLOW_"))}
    env |= {"HOME": str(folder), "PATH": f"{BIN}:{env['PATH']}", "RAY_AUTH_MODE": "token"}
    subprocess.run([BIN / "ray", "get-auth-token", "--generate"], env=env, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    dashboard = free_port()
    command = [BIN / "ray", "start", "--head", "--block", "--num-cpus=2", f"--port={free_port()}"]
    command += [f"--dashboard-port={dashboard}", f"--temp-dir={folder}/ray"]
    # two heads on one machine must not share its usual port: the second would take no jobs
    command.append(f"--dashboard-agent-listen-port={free_port()}")
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(
            command, env=env, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(address, process, folder / "head.log")
        yield address, env, folder
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(address, process, log):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/api/version", timeout=2)
            return
        except urllib.error.HTTPError:
            return  # it answers, and wants a token
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def run_when_there_is_an_agent(command, env):
    """A head answers some seconds before it takes jobs, and asks to try again until then."""
    deadline = time.monotonic() + START_S
    while True:
        done = subprocess.run(
            command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=JOB_S
        )
        if "No available agent" not in done.stderr or time.monotonic() > deadline:
            return done
        time.sleep(1)


def test_a_submitted_job_fills_the_store(head):
    address, env, folder = head
    submit = [BIN / "ray", "job", "submit", "--address", address, "--working-dir", ".", "--"]
    job = ["python", "sweeps/grok_phase.py", "--preset", "smoke", "--store", f"{folder}/store"]
    done = run_when_there_is_an_agent([*submit, *job], env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4/4 trials" in done.stdout
    trials = pd.read_parquet(folder / "store" / "tables" / "trials")
    assert len(trials) == trials["trial_id"].nunique() == 4


def test_the_upload_is_small(head):
    _, _, folder = head
    (package,) = (folder / "ray").glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
    assert (package / "sweeps" / "grok_phase.py").exists()
    assert not (package / ".venv").exists()
    assert size < 2_000_000


def test_without_the_token_the_cluster_refuses(head):
    address, _, _ = head
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/api/jobs/", timeout=5)
    assert refused.value.code in (401, 403)
