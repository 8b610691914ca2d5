"""Places as they are named are places as they are: in URIs, in commands, and for processes that
stand elsewhere."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from grokmodel.core.execution import AUTO, MODES
from service.boundary.study import BoundaryStudy, storage_url
from service.settings import PROGRAMS, SettingsError, load_settings, sqlite_file, sqlite_uri
from service.tracking.client import Tracking
from tests.environment import ROOT

ODD = "a b&c#d'e\"f;g+h=i@j:k\\l $é"
"""What people and programs put into names of folders, but for % and ?."""
READ = (
    "import json, pickle, sys; settings = pickle.loads(bytes.fromhex(sys.argv[1]));"
    "print(json.dumps([settings.tracking_uri, settings.optuna]))"
)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in ("GROK_STORE", "GROK_OPTUNA", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0%?"), min_size=1))
def test_the_uri_of_a_file_leads_to_it(name):
    """SQLAlchemy takes the escapes out of a URI, MLflow does not: there must be none."""
    uri = sqlite_uri(f"/{name}.db")
    assert make_url(uri).database == uri.removeprefix("sqlite:///") == f"/{name}.db"
    assert sqlite_file(uri) == Path(f"/{name}.db")


@pytest.mark.parametrize("folder", ["a%20b", "a?b", "branch%2Fx"])
def test_a_folder_that_no_uri_leads_to_is_refused_before_anything_is_made(tmp_path, folder):
    with pytest.raises(SettingsError, match=r"store = .*% or \?.*need a folder"):
        load_settings(str(tmp_path / folder))
    assert not list(tmp_path.iterdir())


def test_databases_and_artifacts_lie_in_a_store_of_any_other_name(tmp_path, plane):
    settings = load_settings(str(tmp_path / ODD))
    tracking = Tracking.start(settings.tracking_uri, "sweep", settings.artifacts)
    tracking.log_files(tracking.client.get_run(tracking.parent_id).info, {"x/y.bin": b"12"})
    BoundaryStudy("wall", plane, 1, storage_url(settings))
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
    store = tmp_path / ODD
    assert {path.name for path in store.iterdir()} == {"mlflow.db", "optuna.db", "mlartifacts"}
    assert [path.read_bytes() for path in store.rglob("y.bin")] == [b"12"]
    assert [file.path for file in tracking.client.list_artifacts(tracking.parent_id)] == ["x"]


def test_a_relative_database_is_the_one_where_the_user_stands(monkeypatch, tmp_path):
    """Workers stand in other folders, and have the same environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///my%20own.db?timeout=5")
    monkeypatch.setenv("GROK_OPTUNA", "sqlite:///sub/../optuna.db")
    sent = pickle.dumps(load_settings("store")).hex()
    (tmp_path / "worker").mkdir()
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command, place = [sys.executable, "-c", READ, sent], tmp_path / "worker"
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        f"sqlite:///{tmp_path}/my own.db?timeout=5",
        f"sqlite:///{tmp_path}/optuna.db",
    ]


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "GROK_OPTUNA"])
@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "sqlite:///a%2520b/x.db"])
def test_a_database_that_others_would_not_find_is_refused(monkeypatch, tmp_path, name, uri):
    monkeypatch.setenv(name, uri)
    with pytest.raises(SettingsError, match=rf"{name} = .*need sqlite:///FILE"):
        load_settings(str(tmp_path))


@pytest.mark.parametrize(
    "uri", ["sqlite:////a/b.db", "sqlite+pysqlite:////a b/c.db", "http://host:5000/x%20y",
            "postgresql://me@host/db?sslmode=require", "sqlite:///file:/a/b.db?uri=true"],
)  # fmt: skip
def test_what_is_absolute_stays_as_it_is(monkeypatch, tmp_path, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert load_settings(str(tmp_path)).tracking_uri == uri


def test_a_program_is_one_of_those_that_there_are(monkeypatch, tmp_path):
    assert (AUTO, *MODES) == PROGRAMS
    assert load_settings(str(tmp_path)).program == AUTO
    monkeypatch.setenv("GROK_PROGRAM", "compiled")
    assert load_settings(str(tmp_path)).program == "compiled"
    monkeypatch.setenv("GROK_PROGRAM", "fast")
    with pytest.raises(
        SettingsError, match=r"GROK_PROGRAM = 'fast': need one of auto, eager, graph"
    ):
        load_settings(str(tmp_path))
