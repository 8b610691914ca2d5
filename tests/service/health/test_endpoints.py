"""MLflow and Ray: what answers is told from what does not, hangs, or is something else."""

import contextlib
import subprocess
import sys
import time
import uuid
from dataclasses import replace

import psutil
import pytest

from service.health import endpoints
from service.health.finding import FAIL, OK, WARNING
from tests.service.health.findings import levels, only, words
from tests.tracking_servers import MlflowServer, dead_server, hanging_server


def tracking(settings, uri):
    return endpoints.tracking(replace(settings, tracking_uri=uri))


def test_a_server_that_answers(settings, tmp_path):
    with MlflowServer(tmp_path) as server:
        only(tracking(settings, server.uri), OK)


def test_a_dead_server_is_said_without_the_password(settings):
    found = list(tracking(settings, dead_server().replace("://", "://me:hunter2@")))
    only(found, FAIL, "does not answer", "MLFLOW_TRACKING_URI")
    assert "hunter2" not in words(found)


def test_a_hanging_server_is_waited_for_a_while_only(settings, monkeypatch):
    monkeypatch.setattr(endpoints, "ANSWER_S", 1)
    started = time.monotonic()
    with hanging_server() as uri:
        only(tracking(settings, uri), FAIL)
    assert time.monotonic() - started < 15


def test_something_else_than_mlflow_is_no_tracking_server(settings):
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **pipes) as web:
        port = web.stdout.readline().split("port ")[1].split()[0]
        found = list(tracking(settings, f"http://127.0.0.1:{port}"))
        web.terminate()
    only(found, FAIL, "Is it MLflow")


def test_a_database_that_is_away_or_none(settings, tmp_path):
    port = dead_server().rpartition(":")[2]
    found = list(tracking(settings, f"postgresql://me:hunter2@127.0.0.1:{port}/mlflow"))
    only(found, FAIL)
    assert "hunter2" not in words(found)
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    only(endpoints.tracking(settings), FAIL, "Move the file away")


def test_sqlite_on_a_cluster_is_a_warning_and_none_yet_is_not(settings, monkeypatch, tmp_path):
    database = tmp_path / "mlflow.db"
    database.unlink()
    only(endpoints.tracking(settings), OK, "will be made")
    assert not database.exists()
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert WARNING in levels(endpoints.tracking(settings))


# --- Ray -----------------------------------------------------------------------------------------


def test_a_cluster_that_is_not_there_is_given_up(settings, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", dead_server().removeprefix("http://"))
    monkeypatch.setattr(endpoints, "RAY_S", 8.0)
    started = time.monotonic()
    only(endpoints.ray(settings), FAIL, "RAY_ADDRESS")
    assert time.monotonic() - started < 20


def test_a_local_ray_that_does_not_start_is_said(settings, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "/proc/none")
    only(endpoints.ray(settings), FAIL, "does not start on this machine", "/proc/none")


@pytest.mark.cluster
def test_a_local_ray_that_hangs_is_ended_with_all_that_it_started(settings, monkeypatch):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("GROK_TEST", mark)
    monkeypatch.setattr(endpoints, "PROBE", f"{endpoints.PROBE}\nimport time; time.sleep(600)")
    monkeypatch.setattr(endpoints, "RAY_S", 15.0)
    only(endpoints.ray(settings), FAIL, "does not answer within 15 s")
    assert [process for process in psutil.process_iter() if mark in environment(process)] == []


def environment(process):
    with contextlib.suppress(psutil.Error):
        return process.environ().values()
    return ()


def test_the_address_for_jobs_is_not_that_of_the_cluster(settings, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    monkeypatch.setattr(endpoints, "RAY_S", 10.0)
    only(endpoints.ray(settings), FAIL, "HOST:6379")


def test_a_token_that_is_asked_for_but_is_not_there(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    only(endpoints._auth_mode(), WARNING)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    assert levels(endpoints._auth_mode()) == []


@pytest.mark.parametrize(
    ("output", "level", "named"),
    [
        (f'{endpoints.MARK}[3, {{"CPU": 12.0}}]', WARNING, "3 nodes and the store"),
        (f'{endpoints.MARK}[1, {{"CPU": 12.0}}]', OK, "1 nodes, 12 CPU, 0 GPU"),
        ("a\nRuntimeError: Version mismatch:\n Ray: 1.0\n", FAIL, "Version mismatch: Ray: 1.0"),
        ("", FAIL, "ended without a word"),
    ],
)
def test_what_a_cluster_says_of_itself(settings, monkeypatch, output, level, named):
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr(endpoints, "_probe", lambda: (output, 0))
    found = list(endpoints.ray(settings))
    assert found[-1].level == level
    assert named in words(found)
