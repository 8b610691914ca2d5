"""`grok ui` as a user meets it: MLflow's pages of a store, wherever that is by now."""

import json
import shutil
import socket
import sys
import time
import urllib.request
from functools import partial

import pytest

from infra.local.ports import free_port
from infra.local.process import Server
from service.cli import commands
from service.cli.result_commands import bring_files_here
from service.settings import load_settings
from service.store import keys
from service.store.heartbeat import Heartbeat, heartbeats
from service.store.store import Store
from service.tracking.client import Tracking
from tests.environment import GROK, ROOT, user_environment


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """Settings of a store that was moved, and the id of a run in it that has a report."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    first = load_settings(str(tmp_path / "first"))
    tracking = Tracking.start(first.tracking_uri, "mine", first.artifacts)
    tracking.log_files(tracking.client.get_run(tracking.parent_id).info, {"report.html": b"words"})
    Store(first).put(keys.sweep_key("mine", "1"), b'{"experiment_id": "1", "trials": {}}')
    return load_settings(shutil.move(first.store, f"{tmp_path}/it's & moved")), tracking.parent_id


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


@pytest.mark.cluster
def test_the_pages_of_a_moved_store_show_its_files(moved, tmp_path):
    settings, run = moved
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    command = [sys.executable, *GROK, "ui", "--store", settings.store]
    command += ["--port", str(port)]
    environment = user_environment(PYTHONPATH=ROOT, MLFLOW_WORKERS="1")
    server = Server("ui", tmp_path / "logs", command, partial(get, f"{page}/health"), environment)
    server.start()
    try:
        server.wait()
        listed = json.loads(get(f"{page}/ajax-api/2.0/mlflow/artifacts/list?run_id={run}"))
        assert [file["path"] for file in listed["files"]] == ["report.html"]
        assert get(f"{page}/get-artifact?path=report.html&run_uuid={run}") == b"words"
        said = server.log.read_text()
        assert f"  all: {page}/#/experiments?" in said
        assert f"  mine: {page}/#/experiments/1/runs?workflowType=machine_learning&view" in said
    finally:
        server.kill()
    assert not (tmp_path / "first").exists()


def test_a_sweep_that_runs_is_left_alone(moved):
    """Its driver may know the store by another name: of a container, of another machine."""
    settings, run = moved
    client = Tracking(settings.tracking_uri).client
    before = client.get_run(run).info.artifact_uri
    store = Store(settings)
    with Heartbeat(store, "mine"):
        while not heartbeats(store, "mine"):
            time.sleep(0.01)
        bring_files_here(Tracking(settings.tracking_uri), settings)
        assert client.get_run(run).info.artifact_uri == before
    bring_files_here(Tracking(settings.tracking_uri), settings)
    assert client.get_run(run).info.artifact_uri == f"{settings.artifacts}/{run}/artifacts"


def test_a_port_that_is_taken_and_a_store_without_a_sweep_are_named(moved, tmp_path, capsys):
    settings, _ = moved
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert commands.main(["ui", "--store", settings.store, "--port", port]) == 2
    assert f"--port = {port}" in capsys.readouterr().err
    assert commands.main(["ui", "--store", settings.store, "--port", "99999"]) == 2
    assert "--port = 99999" in capsys.readouterr().err
    nowhere = tmp_path / "nowhere"
    assert commands.main(["ui", "--store", str(nowhere), "--port", str(free_port())]) == 2
    assert str(nowhere) in capsys.readouterr().err
    assert not nowhere.exists()


def test_pages_of_a_server_are_where_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:5000")
    assert commands.main(["ui", "--store", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "***@host:5000/#/experiments" in out
    assert "secret" not in out
