"""A sweep whose tracking server dies: nothing is lost, and the same command sends what lacks."""

import time

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.environment import GROK_PHASE, TIMEOUT_S, started
from tests.tracking_servers import MlflowServer, dead_server

FLAGS = ["--preset", "smoke", "--steps", "600", "--analyses", "none"]


def start(store, uri):
    return started(GROK_PHASE, *FLAGS, GROK_STORE=store, MLFLOW_TRACKING_URI=uri)


def wait_for(path, process):
    deadline = time.monotonic() + TIMEOUT_S
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def server(tmp_path):
    with MlflowServer(tmp_path) as running:
        yield running


@pytest.mark.cluster
def test_a_server_that_dies_costs_nothing_and_gets_the_rest_later(server, tmp_path):
    store = tmp_path / "store"
    running = start(store, server.uri)
    wait_for(store / "sweeps" / "smoke", running)  # training begins
    server.kill()
    out, _ = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 0, out
    assert "4 trials of smoke are not shown there yet" in out
    assert server.uri in out
    assert len(pd.read_parquet(store / "tables" / "trials")) == 4
    assert (store / "figures" / "smoke" / "report.html").exists()

    server.start()
    again = start(store, server.uri)
    out, _ = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 0, out
    assert "all 4 trials are done already" in out
    assert not [path for path in (store / "outbox").rglob("*") if path.is_file()], out
    client = MlflowClient(server.uri)
    runs = client.search_runs([client.get_experiment_by_name("smoke").experiment_id])
    assert len(runs) == 5
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        if run.data.tags["grok.kind"] == "trial":
            history = client.get_metric_history(run.info.run_id, "val_acc")
            assert [point.step for point in history] == list(range(0, 601, 50))


@pytest.mark.cluster
def test_a_sweep_does_not_start_without_its_server(tmp_path):
    uri = dead_server()
    begun = time.monotonic()
    refused = start(tmp_path / "store", uri)
    out, _ = refused.communicate(timeout=TIMEOUT_S)
    assert refused.returncode == 2
    assert time.monotonic() - begun < 90  # MLflow by itself tries for minutes
    assert out.count("\n") == 1
    assert f"MLflow at {uri} does not answer" in out
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path.parent.parent.name for path in left] == ["progress"]  # for `grok status`
