"""MLflow's server as the manifest starts it, over a real PostgreSQL."""

import base64
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from infra.local.ports import free_port
from infra.local.postgres import Postgres
from tests.infra.manifests import K8S, documents, name_of, templates

ADMIN, PASSWORD = "grok", secrets.token_hex(16)
pytestmark = pytest.mark.cluster

FAILED = (urllib.error.URLError, ConnectionError, TimeoutError)


@pytest.fixture(scope="module")
def server():
    """Port of a server with the manifest's flags, settings and users' file."""
    folder = Path(tempfile.mkdtemp(prefix="grok-infra-"))
    folder.chmod(0o755)  # PostgreSQL is not run by root
    database = Postgres(folder / "postgres", secrets.token_hex(16))
    database.start()
    database.wait()
    database.create("mlflow")
    port = free_port()

    def here(text):
        """What it says of the cluster, said of this machine."""
        text = text.replace("@postgres:5432", f"@127.0.0.1:{database.port}")
        text = re.sub(r"\b5000\b", str(port), text.replace("0.0.0.0", "127.0.0.1"))
        return text.replace("$(GROK_STORE)", "s3://grok-sweep/runs")

    container = mlflow_container()
    config = folder / "basic_auth.ini"
    config.write_text(here((K8S / "basic_auth.ini").read_text()))
    values = {
        "PGPASSWORD": database.password,
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
    }
    env = {
        entry["name"]: values.get(entry["name"], here(entry.get("value", "any")))
        for entry in container["env"]
    }
    env |= {name: os.environ[name] for name in ("PATH",)} | {"HOME": str(folder)}
    command = [sys.executable, "-m", *container["command"], *map(here, container["args"])]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while answer(port, "/health") != 200:
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.5)
        yield port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        database.stop()
        shutil.rmtree(folder)


def mlflow_container():
    deployment = next(d for d in documents() if name_of(d) == "Deployment mlflow")
    return next(templates(deployment))[1]["spec"]["containers"][0]


def answer(port, page, password=None, host=None):
    """Status of a page."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{page}")
    if password is not None:
        pair = base64.b64encode(f"{ADMIN}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    if host is not None:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=10) as page_:
            return page_.status
    except urllib.error.HTTPError as error:
        return error.code
    except FAILED:
        return None


SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def test_who_has_the_password_comes_in_and_nobody_else(server):
    assert answer(server, SEARCH, PASSWORD) == 200
    assert answer(server, SEARCH) == 401
    assert answer(server, SEARCH, "password1234") == 401


def test_it_is_asked_by_its_names_only(server):
    assert answer(server, SEARCH, PASSWORD, f"mlflow:{server}") == 200
    assert answer(server, SEARCH, PASSWORD, f"localhost:{server}") == 200
    assert answer(server, SEARCH, PASSWORD, "evil.example.com") == 403
    assert answer(server, "/health", host="10.1.2.3:5000") == 200  # the kubelet's probe


def test_no_password_is_among_the_arguments(server):
    container = mlflow_container()
    assert not [arg for arg in container["args"] if "postgresql" in arg or "password" in arg]
