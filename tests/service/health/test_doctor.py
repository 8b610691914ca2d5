"""Each check finds what it is there for, on real things that are really broken."""

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest

from service.cli import commands
from service.health import checks, doctor, endpoints
from service.health.doctor import bounded
from service.health.finding import FAIL, NOTE, OK, WARNING, Check, Finding
from service.store import keys
from service.store.objects import Entry
from service.store.store import Store
from service.tables.reading import write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config
from tests.tracking_servers import MlflowServer, dead_server, hanging_server


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def answer_of_ray():
    return endpoints._probe()


@pytest.fixture
def one_ray(monkeypatch, answer_of_ray):
    """Ray is started once for all that look at other things, or at what becomes of its answer."""
    monkeypatch.setattr(endpoints, "_probe", lambda: answer_of_ray)


def levels(found):
    return [finding.level for finding in found]


def words(found):
    return "\n".join(map(str, found))


def test_all_is_well_with_a_good_store(one_ray, store, capsys):
    write_rows(store, "trials", "mine", [finished_row(tiny_config())])
    manifest = {"experiment_id": "1", "trials": {}}
    store.put(keys.sweep_key("mine", "1"), json.dumps(manifest).encode())
    assert doctor.run(store.url) == 0
    out = capsys.readouterr().out
    assert FAIL not in out
    assert "all is well" in out
    for part in (
        "1 parts, all can be read",
        "manifests of 1",
        "a local Ray (RAY_ADDRESS is not set): 1 nodes",
        "glyphs",
    ):
        assert part in out
    assert store.list("preflight") == []


def test_findings_for_programs(one_ray, store, capsys):
    assert doctor.run(store.url, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"check", "level", "text", "todo"} == set(found[0])
    assert {"python", "packages", "store", "tracking", "ray", "tables"} <= {
        f["check"] for f in found
    }


def test_a_failing_check_makes_the_exit_code_and_says_what_to_do(one_ray, store, capsys):
    store.put(keys.sweep_key("half", "1"), b'{"tri')
    store.put(keys.table_key("trials", "mine", "bad"), b"PAR1 this is no Parquet")
    assert doctor.run(store.url) == 1
    out = capsys.readouterr().out
    assert "half/1.json: damaged" in out
    assert "delete it and run the sweep again" in out
    assert "bad.parquet" in out
    assert "2 of" in out
    assert "a local Ray" in out  # the others were made


def test_a_file_as_store_is_said(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert doctor.run(str(tmp_path / "file")) == 1
    assert "is a file" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_no_store(settings, tmp_path):
    (tmp_path / "store").mkdir(mode=0o500)
    found = list(checks.store(settings))
    assert levels(found) == [FAIL]
    assert "permissions" in words(found)


@pytest.mark.parametrize("place", ["/dev/null/store", "/proc/grok"])
def test_a_folder_that_cannot_be_made_is_no_store(settings, place):
    found = list(checks.store(replace(settings, store=place)))
    assert levels(found) == [FAIL]
    assert place in words(found)


def test_a_full_disk_is_said(settings, monkeypatch):
    usage = shutil.disk_usage("/")
    for free, level in ((1e6, FAIL), (5e9, WARNING), (1e12, OK)):
        here = usage._replace(free=int(free))
        monkeypatch.setattr(shutil, "disk_usage", lambda path, here=here: here)
        found = [f for f in checks.store(settings) if f.check == "space"]
        assert levels(found) == [level]


@pytest.mark.parametrize(("ahead_s", "level"), [(0, OK), (3600, WARNING), (-3600, WARNING)])
def test_clocks_that_differ_are_said(settings, monkeypatch, ahead_s, level):
    real = Store.entries

    def entries(self, prefix, hidden=False):
        by = timedelta(seconds=ahead_s)
        return [Entry(e.key, e.size, e.modified + by) for e in real(self, prefix, hidden)]

    monkeypatch.setattr(Store, "entries", entries)
    found = [f for f in checks.store(settings) if f.check == "clock"]
    assert levels(found) == [level]


# --- MLflow --------------------------------------------------------------------------------------


def test_a_server_that_answers(settings, tmp_path):
    with MlflowServer(tmp_path) as server:
        found = list(endpoints.tracking(replace(settings, tracking_uri=server.uri)))
    assert levels(found) == [OK], words(found)


def test_a_dead_server_is_said_without_the_password(settings):
    uri = dead_server().replace("://", "://me:hunter2@")
    found = list(endpoints.tracking(replace(settings, tracking_uri=uri)))
    assert levels(found) == [FAIL]
    assert "does not answer" in words(found)
    assert "MLFLOW_TRACKING_URI" in words(found)
    assert "hunter2" not in words(found)


def test_a_hanging_server_is_waited_for_a_while_only(settings, monkeypatch):
    monkeypatch.setattr(endpoints, "ANSWER_S", 1)
    started = time.monotonic()
    with hanging_server() as uri:
        found = list(endpoints.tracking(replace(settings, tracking_uri=uri)))
    assert levels(found) == [FAIL]
    assert time.monotonic() - started < 15


def test_something_else_than_mlflow_is_no_tracking_server(settings):
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as web:
        port = web.stdout.readline().split("port ")[1].split()[0]
        uri = f"http://127.0.0.1:{port}"
        found = list(endpoints.tracking(replace(settings, tracking_uri=uri)))
        web.terminate()
    assert levels(found) == [FAIL]
    assert "Is it MLflow" in words(found)


def test_a_database_that_is_away_or_none(settings, tmp_path):
    port = dead_server().rpartition(":")[2]
    uri = f"postgresql://me:hunter2@127.0.0.1:{port}/mlflow"
    found = list(endpoints.tracking(replace(settings, tracking_uri=uri)))
    assert levels(found) == [FAIL]
    assert "hunter2" not in words(found)
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    found = list(endpoints.tracking(settings))
    assert levels(found) == [FAIL]
    assert "Move the file away" in words(found)


def test_sqlite_on_a_cluster_is_a_warning_and_none_yet_is_not(settings, monkeypatch, tmp_path):
    found = list(endpoints.tracking(settings))
    assert levels(found) == [OK]
    assert "will be made" in words(found)
    assert not (tmp_path / "mlflow.db").exists()
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert WARNING in levels(endpoints.tracking(settings))


# --- Ray -----------------------------------------------------------------------------------------


def test_a_cluster_that_is_not_there_is_given_up(settings, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", dead_server().removeprefix("http://"))
    monkeypatch.setattr(endpoints, "RAY_S", 8.0)
    started = time.monotonic()
    found = list(endpoints.ray(settings))
    assert levels(found) == [FAIL]
    assert "RAY_ADDRESS" in words(found)
    assert time.monotonic() - started < 20


def test_a_local_ray_that_does_not_start_is_said(settings, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "/proc/none")
    found = list(endpoints.ray(settings))
    assert levels(found) == [FAIL]
    assert "does not start on this machine" in words(found)
    assert "/proc/none" in words(found)


def test_a_local_ray_that_hangs_is_ended_with_all_that_it_started(settings, monkeypatch):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("GROK_TEST", mark)
    monkeypatch.setattr(endpoints, "PROBE", f"{endpoints.PROBE}\nimport time; time.sleep(600)")
    monkeypatch.setattr(endpoints, "RAY_S", 15.0)
    found = list(endpoints.ray(settings))
    assert levels(found) == [FAIL]
    assert "does not answer within 15 s" in words(found)
    assert [process for process in psutil.process_iter() if mark in environment(process)] == []


def environment(process):
    with contextlib.suppress(psutil.Error):
        return process.environ().values()
    return ()


def test_the_address_for_jobs_is_not_that_of_the_cluster(settings, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    monkeypatch.setattr(endpoints, "RAY_S", 10.0)
    found = list(endpoints.ray(settings))
    assert levels(found) == [FAIL]
    assert "HOST:6379" in words(found)


def test_a_token_that_is_asked_for_but_is_not_there(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert levels(endpoints._auth_mode()) == [WARNING]
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    assert levels(endpoints._auth_mode()) == []


@pytest.mark.parametrize(
    ("answer", "level", "named"),
    [
        ((f'{endpoints.MARK}[3, {{"CPU": 12.0}}]', 0), WARNING, "3 nodes and the store"),
        ((f'{endpoints.MARK}[1, {{"CPU": 12.0}}]', 0), OK, "1 nodes, 12 CPU, 0 GPU"),
        (
            ("a\nRuntimeError: Version mismatch:\n Ray: 1.0\n", 1),
            FAIL,
            "Version mismatch: Ray: 1.0",
        ),
        (("", 1), FAIL, "ended without a word"),
    ],
)
def test_what_a_cluster_says_of_itself(settings, monkeypatch, answer, level, named):
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr(endpoints, "_probe", lambda: answer)
    found = list(endpoints.ray(settings))
    assert found[-1].level == level
    assert named in words(found)


# --- the rest ------------------------------------------------------------------------------------


def test_a_damaged_data_set_is_said_and_an_absent_one_only_noted(settings, tmp_path):
    assert levels(checks.data(settings)) == [NOTE]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "emnist-bymerge-train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"no IDX"))
    found = list(checks.data(settings))
    assert levels(found) == [FAIL]
    assert "emnist-bymerge-train-images" in words(found)


def test_the_data_that_are_checked_are_those_of_the_flag(one_ray, store, tmp_path, capsys):
    (tmp_path / "k49-train-imgs.npz").write_bytes(b"no archive")
    assert commands.main(["doctor", "--store", store.url, "--data-root", str(tmp_path)]) == 1
    assert f"kuzushiji49: {tmp_path}/k49-train-imgs.npz: damaged" in capsys.readouterr().out


def test_other_versions_are_a_warning_and_missing_packages_fail(settings, monkeypatch, tmp_path):
    assert FAIL not in levels(checks.versions(settings))
    file = tmp_path / "constraints.txt"
    file.write_text("numpy==1.0\n")
    monkeypatch.setattr(checks, "CONSTRAINTS", file)
    found = list(checks.versions(settings))
    assert WARNING in levels(found)
    assert "tested: 1.0" in words(found)
    needs = ["numpy>=99", "not-to-be-found"]
    monkeypatch.setattr(checks.importlib.metadata, "requires", lambda name: needs)
    found = list(checks.versions(settings))
    assert levels(found).count(FAIL) == 2
    assert "need >=99" in words(found)
    assert "not-to-be-found is not installed" in words(found)


def test_tables_too_many_to_read_are_said(store, settings, monkeypatch):
    write_rows(store, "trials", "mine", [finished_row(tiny_config())])
    monkeypatch.setattr(checks, "TABLES_S", -1.0)
    found = list(checks.tables(settings))
    assert levels(found) == [WARNING]
    assert "grok compact" in words(found)


def test_a_check_that_hangs_or_breaks_is_a_finding(settings):
    def hang(settings):
        time.sleep(60)

    def broken(settings):
        yield Finding("x", OK, "so far so good")
        raise ValueError("at mysql://me:hunter2@db\nand more")

    for look, text in (
        (hang, "no answer within 0 s"),
        (broken, "ValueError: at mysql://me:***@db"),
    ):
        (found,) = bounded(Check("x", look, 0.3, "Do this"), settings)
        assert found.level == FAIL
        assert text in str(found)
        assert "Do this" in str(found)
        assert "and more" not in str(found)


def test_every_check_is_bounded_and_says_what_to_do():
    assert all(check.limit_s <= 120 and check.hint for check in checks.CHECKS)
