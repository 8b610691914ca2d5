"""Whoever has no password or token is refused, by every server."""

import os
import subprocess
import sys
import urllib.error
import urllib.request

import psycopg
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from service.tracking.client import Tracking, TrackingError

pytestmark = pytest.mark.cluster


def status(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_mlflow_wants_a_password(stack, env, monkeypatch, tmp_path):
    assert MlflowClient(stack.mlflow.uri).search_experiments()
    page = f"{stack.mlflow.uri}/api/2.0/mlflow/experiments/search?max_results=1"
    assert status(page) == 401
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-wrong-password")
    with pytest.raises(MlflowException, match="401"):
        MlflowClient(stack.mlflow.uri).search_experiments()
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_USERNAME") as error:
        Tracking.start(stack.mlflow.uri, "nobody", str(tmp_path), patience_s=30.0)
    assert "a-wrong-password" not in str(error.value)


def test_postgres_wants_a_password(stack):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=stack.postgres.port, user="mlflow", dbname="mlflow")


CONNECT = "import ray; ray.init(); print(len(ray.nodes()))"


def test_ray_lets_in_who_has_its_token_and_nobody_else(stack, env, tmp_path):
    (tmp_path / "token").write_text("b" * 48)
    another = os.environ | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    none = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    command, pipe = [sys.executable, "-c", CONNECT], subprocess.PIPE
    tries = [
        subprocess.Popen(command, env=mine, stdout=pipe, stderr=pipe, text=True)
        for mine in (none, another, os.environ)
    ]
    *refused, let_in = [(*each.communicate(timeout=120), each.returncode) for each in tries]
    for _, said, code in refused:
        assert code != 0
        assert "token" in said.lower()
    assert let_in[0].strip() == "3", let_in


def test_jobs_are_taken_with_the_token_only(stack):
    jobs = f"{stack.ray.dashboard}/api/jobs/"
    assert status(jobs) == 401
    assert status(jobs, Authorization="Bearer wrong") in (401, 403)
    assert status(jobs, Authorization=f"Bearer {stack.secrets['ray']}") == 200
