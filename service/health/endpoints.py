"""What `grok doctor` asks over a network: MLflow and Ray."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from service.health.finding import FAIL, NOTE, OK, WARNING, Finding
from service.reachable import check_reachable
from service.settings import Settings, sqlite_file, without_password
from service.store.manifest import sweep_names
from service.store.store import Store
from service.text import reason
from service.tracking.experiment import set_up_mlflow

ANSWER_S = 8
"""Seconds that a request to MLflow may take."""
RAY_S = 100.0
"""Seconds to join a cluster or to start one here, and a worker of it."""
STOP_S = 10.0
"""Seconds for a Ray of our own to stop."""
MARK = "grok-doctor:"
PROBE = f"""
import json, ray
from service.schedule.cluster import ClusterError, start_ray
try:
    start_ray()
    nodes = {{n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]}}
    answer = [len(nodes), ray.cluster_resources()]
except ClusterError as error:
    answer = str(error)
print("\\n{MARK}" + json.dumps(answer), flush=True)
"""


def tracking(settings: Settings) -> Iterator[Finding]:
    """Does MLflow answer, let us in, and keep the files of this store's sweeps in it?"""
    uri = settings.tracking_uri
    is_server = uri.startswith(("http://", "https://"))
    found = list(_server(uri) if is_server else _database(uri))
    yield from found
    file = sqlite_file(uri)
    if not any(each.level == FAIL for each in found) and (file is None or file.exists()):
        yield from _artifacts(settings)


def ray(settings: Settings) -> Iterator[Finding]:
    """Can the cluster be joined, or one be started here, do its workers start, and is it one that
    the store is good for?"""
    address = os.environ.get("RAY_ADDRESS", "")
    what = f"the cluster at {address}" if address else "a local Ray (RAY_ADDRESS is not set)"
    if address:
        yield from _auth_mode()
    started = time.monotonic()
    output, code = _probe()
    if code is None:
        text = f"{what} does not answer within {RAY_S:.0f} s"
        yield Finding("ray", FAIL, text, _ray_hint(address))
        return
    found = re.search(rf"^{MARK}(.*)$", output, re.MULTILINE)
    if not found:
        text = f"{what} cannot be used: {_last_error(output)}"
        yield Finding("ray", FAIL, text, _ray_hint(address))
        return
    answer = json.loads(found[1])
    if isinstance(answer, str):  # it says what to do
        yield Finding("ray", FAIL, answer, _ray_hint(address) if address else "")
        return
    nodes, have = answer
    ours = f"Ray {importlib.metadata.version('ray')}, Python {sys.version.split()[0]}, as here"
    text = f"{nodes} nodes, {have.get('CPU', 0):g} CPU, {have.get('GPU', 0):g} GPU; {ours}"
    yield Finding("ray", OK, f"{what}: {text}; up in {time.monotonic() - started:.0f} s")
    if nodes > 1 and not settings.store.startswith("s3://"):
        text = f"{nodes} nodes and the store {settings.store} is a folder"
        todo = "Every node must mount it; otherwise use --store s3://bucket/prefix"
        yield Finding("ray", WARNING, text, todo)


def _server(uri: str) -> Iterator[Finding]:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    set_up_mlflow()
    creds, where = get_default_host_creds(uri), without_password(uri)
    once = {"max_retries": 0, "timeout": ANSWER_S, "raise_on_status": False}
    start = "Start it, or set MLFLOW_TRACKING_URI to one that runs"
    try:
        answer = http_request(
            creds, "/api/2.0/mlflow/experiments/search", "POST", json={"max_results": 1}, **once
        )
    except Exception as error:  # MLflow's own, of requests, of urllib3
        yield Finding("tracking", FAIL, f"{where} does not answer: {reason(error)}", start)
        return
    if answer.status_code == 401 or (
        answer.status_code == 403 and "Host header" not in answer.text
    ):
        text = f"{where} does not let us in ({answer.status_code})"
        todo = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the TOKEN"
        yield Finding("tracking", FAIL, text, todo)
        return
    if answer.status_code != 200 or '"experiments"' not in answer.text:
        said = " ".join(answer.text.split())[:120]
        text = f"{where} answers {answer.status_code}: {said}"
        todo = "Is it MLflow, and started with --allowed-hosts that name it?"
        yield Finding("tracking", FAIL, text, todo)
        return
    yield Finding("tracking", OK, f"{where} answers in {answer.elapsed.total_seconds():.2f} s")
    try:
        version = http_request(creds, "/version", "GET", **once).text.strip()
    except Exception as error:
        yield Finding("tracking", NOTE, f"its version is unknown: {reason(error)}")
        return
    ours = importlib.metadata.version("mlflow")
    if version.split(".")[:2] != ours.split(".")[:2]:
        text = f"the server is MLflow {version[:20]}, this is {ours}"
        yield Finding("tracking", WARNING, text, "Install the same on both sides")


def _database(uri: str) -> Iterator[Finding]:
    where, parts = without_password(uri), urlsplit(uri)
    on_cluster = bool(os.environ.get("RAY_ADDRESS"))
    if parts.scheme.startswith("sqlite"):
        if on_cluster:
            text = f"{where}: SQLite has one lock, and every node must reach its file"
            todo = "Run an MLflow server over PostgreSQL and set MLFLOW_TRACKING_URI"
            yield Finding("tracking", WARNING, text, todo)
        file = sqlite_file(uri)
        if file is not None and not file.exists():
            yield Finding("tracking", OK, f"{where}: will be made by the first sweep")
            return
    try:
        check_reachable(uri)
        from mlflow import MlflowClient

        set_up_mlflow()
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
    except Exception as error:  # of MLflow, SQLAlchemy or a driver that is not installed
        todo = "Check MLFLOW_TRACKING_URI, its server and its password"
        if parts.scheme.startswith("sqlite"):
            todo = "Move the file away, then: grok publish --all of every sweep"
        yield Finding("tracking", FAIL, f"{where}: {reason(error)}", todo)
    else:
        yield Finding("tracking", OK, f"{where} answers")


def _artifacts(settings: Settings) -> Iterator[Finding]:
    """A store that was copied or moved is to MLflow where it was."""
    from mlflow import MlflowClient

    from service.tracking.artifacts import goes_along, misplaced

    client, names = MlflowClient(settings.tracking_uri), sweep_names(Store(settings))
    places: dict[str, list[str]] = {}
    for name, place in misplaced(client, settings.artifacts, names).items():
        places.setdefault(place, []).append(name)
    todo = "Rename these experiments in MLflow, then: grok publish --all of every such sweep"
    if goes_along(settings.tracking_uri, settings.artifacts):
        todo = "The store was copied or moved: grok ui corrects it, and so does the next sweep"
    for place, sweeps in places.items():
        text = f"{', '.join(sweeps)}: their files are looked for in {place}"
        yield Finding("tracking", WARNING, text, todo)


def _auth_mode() -> Iterator[Finding]:
    """A token has to be somewhere if the cluster asks for one."""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return
    places = (os.environ.get("RAY_AUTH_TOKEN_PATH"), Path.home() / ".ray" / "auth_token")
    if os.environ.get("RAY_AUTH_TOKEN") or any(p and Path(p).exists() for p in places):
        return
    todo = "Set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to that of the cluster: ray get-auth-token"
    yield Finding("ray", WARNING, "RAY_AUTH_MODE is token, but there is no token", todo)


def _probe() -> tuple[str, int | None]:
    """Ray in a process of its own, which can be ended; its output and exit code."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROBE], text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        return process.communicate(timeout=RAY_S)[0], process.returncode
    except subprocess.TimeoutExpired:
        process.terminate()  # what it has started it ends too
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "", None


def _last_error(output: str) -> str:
    """The exception that ended a process, without its traceback."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)]
    said = lines[starts[-1] :] if starts else lines[-1:]
    return " ".join(said)[:300] or "it ended without a word"


def _ray_hint(address: str) -> str:
    if not address:
        return "Is the machine very busy? What Ray says is in /tmp/ray/session_latest/logs"
    if address.startswith("http"):
        return "That is the address of `ray job submit`; a program joins HOST:6379, or auto"
    return (
        "Check RAY_ADDRESS, the token (RAY_AUTH_MODE), and that both sides have the same versions"
    )
