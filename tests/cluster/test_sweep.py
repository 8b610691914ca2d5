"""A sweep as users of a cluster run it: submitted as a job, on three nodes, into S3 and PostgreSQL;
then what it left, what it asked of S3, and that none of its secrets is anywhere."""

import json
import subprocess
import sys
import urllib.request
import webbrowser
from base64 import b64encode
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import psutil
import psycopg
import pytest
from mlflow import MlflowClient

from infra.local.mlflow import ADMIN
from service.cli import commands
from service.results import open_sweep
from tests.environment import user_environment

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
OWN_FILES = {"secrets.json", "env", "token", "proxy.conf", "basic_auth.ini"}
"""Where the stack keeps its secrets, for their owner only to read."""


@pytest.fixture(scope="module")
def submitted(stack):
    """What the job said, and what was asked of S3 meanwhile."""
    before = len(stack.s3.requests())
    # the shell of whoever submits knows the cluster and its token, and no other secret
    command = [str(Path(sys.executable).parent / "ray"), "job", "submit", "--working-dir", "."]
    command += ["--", sys.executable, "sweeps/grok_phase.py", "--preset", "smoke"]
    done = subprocess.run(
        command, cwd=ROOT, env=user_environment(**stack.ray.env()),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr, stack.s3.requests()[before:]


def test_it_leaves_tables_pictures_and_runs(submitted, stack, env):
    said, _ = submitted
    assert "4/4 trials" in said
    assert "on 2 slots of 1 CPU" in said
    trials = pd.read_parquet(f"{stack.store}/tables/trials", filesystem=None)
    assert len(trials.query("sweep == 'smoke'")) == 4
    client = MlflowClient(stack.mlflow.uri)
    experiment = client.get_experiment_by_name("smoke")
    assert experiment.artifact_location == f"{stack.store}/mlartifacts"
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 5
    trial = next(run for run in runs if "trial_id" in run.data.tags)
    names = {item.path for item in client.list_artifacts(trial.info.run_id)}
    assert names == {"checkpoint"}
    parent = next(run for run in runs if "trial_id" not in run.data.tags).info.run_id
    picture = f"{stack.mlflow.uri}/get-artifact?path=figures/curves.png&run_uuid={parent}"
    login = b64encode(f"{ADMIN}:{stack.secrets['mlflow']}".encode()).decode()
    request = urllib.request.Request(picture, headers={"Authorization": f"Basic {login}"})
    shown = urllib.request.urlopen(request, timeout=30).read()  # the server has it from S3
    assert shown.startswith(b"\x89PNG")


def test_its_results_are_opened_from_s3(submitted, stack, env, monkeypatch, capsys):
    sweep = open_sweep(stack.store, "smoke")
    trials = pd.read_parquet(f"{stack.store}/tables/trials", filesystem=None)
    assert set(sweep.trials["trial_id"]) == set(trials.query("sweep == 'smoke'")["trial_id"])
    trial = sweep.trial(sweep.trials["trial_id"].iloc[0][:8])
    assert len(trial.steps) > 2
    images = trial.sample(a=3, b=5, n=4, steps=5, step=trial.steps[1])
    assert trial.decode(images).shape == (4,)
    assert set(trial.table("samples")["step"]) == set(trial.steps)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert commands.main(["open", trial.id[:8], "--store", stack.store]) == 0
    page = urlsplit(opened[0])
    assert page.fragment == trial.id
    assert trial.id in Path(unquote(page.path)).read_text()


def test_only_the_source_was_uploaded(submitted, stack):
    packages = "*/session_2*/runtime_resources/working_dir_files/_ray_pkg_*/sweeps/grok_phase.py"
    found = [script.parents[1] for script in stack.ray.temp.glob(packages)]
    assert found
    for package in found:
        assert not (package / ".venv").exists()
        # Ray leaves bytecode behind; nodes add that of what they run, and of infra they run nothing
        assert not list((package / "infra").rglob("__pycache__"))
        files = [p for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc"]
        assert sum(p.stat().st_size for p in files) < 2_000_000


def test_its_state_is_seen_from_the_store_alone(submitted, stack):
    """Without Ray, without MLflow: status needs the key of the store and nothing else."""
    env = user_environment(**stack.key.env(stack.s3.endpoint))
    command = [sys.executable, "-m", "service.cli.commands", "status", "--store", stack.store]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 trials done" in done.stdout


def test_the_doctor_finds_nothing(submitted, stack, env):
    command = [sys.executable, "-m", "service.cli.commands", "doctor"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "3 nodes" in done.stdout


def test_it_needs_no_more_than_its_policy_grants(submitted, stack):
    _, requests = submitted
    asked = {action(method, unquote(path)) for method, path in requests if is_ours(path)}
    policy = json.loads((ROOT / "infra" / "s3-policy.json").read_text())
    actions = [part["Action"] for part in policy["Statement"]]
    granted = {a for some in actions for a in ([some] if isinstance(some, str) else some)}
    assert asked <= granted
    assert granted - asked <= {"s3:AbortMultipartUpload"}  # of uploads that fail


def is_ours(path):
    return not path.startswith("/v1/") and not path.startswith("/healthcheck")


def action(method, path):
    """The right that a request needs."""
    place, _, query = path.partition("?")
    is_bucket = place.strip("/").count("/") == 0
    if place == "/":
        return "s3:ListAllMyBuckets"
    if is_bucket:
        if "location" in query:
            return "s3:GetBucketLocation"
        deleting = method == "POST" and "delete" in query
        found = {"GET": "s3:ListBucket", "HEAD": "s3:ListBucket", "PUT": "s3:CreateBucket"}
        return "s3:DeleteObject" if deleting else found.get(method, f"{method} of a bucket")
    if method == "DELETE":
        return "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"
    return {"GET": "s3:GetObject", "HEAD": "s3:GetObject"}.get(method, "s3:PutObject")


def test_no_secret_is_in_what_it_left_nor_in_what_it_said(submitted, stack):
    """In the output of the job, the store, logs and Ray's folder, MLflow's database, the jobs'
    runtime environments and command lines."""
    objects, logs, rows, jobs = in_store(stack), in_files(stack), in_database(stack), of_jobs(stack)
    assert len([key for key in objects if key.startswith("grok/")]) > 40
    assert len([path for path in logs if "session_" in path]) > 20
    assert len(rows) > 100
    assert b"grok_phase.py" in jobs
    lines = [" ".join(p.info["cmdline"] or []).encode() for p in psutil.process_iter(["cmdline"])]
    texts = [submitted[0].encode(), *objects.values(), *logs.values(), *rows, jobs, *lines]
    secrets = {name: value.encode() for name, value in stack.secrets.items()}
    assert {name for text in texts for name, value in secrets.items() if value in text} == set()


def in_store(stack):
    client = stack.s3.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="sweeps")
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key: client.get_object(Bucket="sweeps", Key=key)["Body"].read() for key in keys}


def in_files(stack):
    files = [p for root in (stack.folder, stack.ray.temp) for p in root.rglob("*") if p.is_file()]
    logs = [p for p in files if p.name not in OWN_FILES and "data" not in p.parts]
    return {str(path): path.read_bytes() for path in logs}


def in_database(stack):
    with psycopg.connect(stack.postgres.uri("mlflow")) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        asked = [connection.execute(f'SELECT t::text FROM "{table}" t') for (table,) in tables]
        return [row.encode() for rows in asked for (row,) in rows.fetchall()]


def of_jobs(stack):
    headers = {"Authorization": f"Bearer {stack.secrets['ray']}"}
    request = urllib.request.Request(f"{stack.ray.dashboard}/api/jobs/", headers=headers)
    return urllib.request.urlopen(request, timeout=10).read()
