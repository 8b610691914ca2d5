"""The store shows whole objects only, and says clearly when it cannot be used."""

import threading
from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, load_settings
from service.storage import Store, StoreError


def test_what_is_put_is_got_listed_and_deleted(store):
    store.put("a/b/one", b"1")
    store.put("a/two", b"2")
    assert store.get("a/b/one") == b"1"
    assert store.list("a") == ["a/b/one", "a/two"]
    store.delete("a/two")
    store.delete("a/two")
    assert store.list("a") == ["a/b/one"]
    assert store.get_or_none("a/two") is None


def test_a_reader_never_sees_half_an_object(store):
    """Two contents are written in turn while another thread reads: it gets one or the other."""
    contents = [bytes([k]) * 400_000 for k in (1, 2)]
    store.put("key", contents[0])
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.add(store.get("key"))

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(60):
        store.put("key", contents[k % 2])
    stop.set()
    reader.join()
    assert seen <= set(contents)
    assert seen


def test_unfinished_files_are_not_listed(store):
    store.put("tables/trials/part", b"x")
    (Path(store.path("tables/trials")) / ".part.123").write_bytes(b"half")
    assert store.list("tables") == ["tables/trials/part"]


def test_preflight_leaves_nothing_behind(store):
    store.preflight()
    assert store.list("") == []


def test_preflight_names_a_store_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    settings = Settings(str(tmp_path / "file"), "", "", None)
    with pytest.raises(StoreError, match=r"store .*file: cannot write pre.*Not a directory. Check"):
        Store(settings).preflight()


def test_s3_without_tracking_server_is_refused(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI is not set"):
        load_settings("s3://bucket/prefix")


def test_other_schemes_are_refused():
    with pytest.raises(SettingsError, match=r"gs://b.*need a folder or s3://"):
        load_settings("gs://b/p")


def test_default_tracking_is_sqlite_in_the_store(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = load_settings(str(tmp_path))
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_submitted_job_keeps_its_results_outside_the_upload(monkeypatch, tmp_path):
    upload = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    upload.mkdir(parents=True)
    monkeypatch.chdir(upload)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GROK_STORE", raising=False)
    assert load_settings().store == str(tmp_path / "grok-runs")
