"""The store shows whole objects only, and says clearly when it cannot be used."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.health import checks
from service.settings import Settings, SettingsError, load_settings
from service.store.manifest import read_manifest, write_manifest
from service.store.store import Store, StoreError
from tests.service.tiny import tiny_config


def test_what_is_put_is_got_listed_and_deleted(store):
    store.preflight()
    assert store.list("") == []  # it leaves nothing behind
    store.put("a/b/one", b"1")
    store.put("a/two", b"2")
    (Path(store.path("a")) / ".two.123").write_bytes(b"half")  # is not listed
    assert store.get("a/b/one") == b"1"
    assert store.list("a") == ["a/b/one", "a/two"]
    for _ in range(2):
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


@pytest.mark.parametrize("look", [lambda s: Store(s).preflight(), lambda s: list(checks.store(s))])
def test_what_another_process_tries_the_store_with_stays(settings, store, monkeypatch, look):
    real, other = Store.delete, "preflight/of-another"

    def delete(self, key):
        real(self, key)
        self.put(other, b"grok")

    monkeypatch.setattr(Store, "delete", delete)
    look(settings)
    assert store.list("") == [other]


def test_many_may_try_a_store_at_once(settings):
    """Each makes the folder that another removes."""
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(Store(settings).preflight) for _ in range(400)]
    assert [error for each in tries if (error := each.exception())] == []
    assert not Path(settings.store, "preflight").exists()


def test_only_an_empty_folder_is_deleted_as_one(store):
    store.delete_empty_folder("a/b")
    store.put("a/b/c", b"1")
    (Path(store.path("a/b")) / ".c.123").write_bytes(b"half")
    for key in ("a/b", "a"):
        store.delete_empty_folder(key)
    assert len(store.entries("", hidden=True)) == 2
    store.delete_folder("a/b")
    store.delete_empty_folder("a")
    assert not Path(store.path("a")).exists()


@pytest.mark.parametrize("seeds", [(0, 1), (1, 0)])
def test_a_manifest_has_the_trials_of_all_its_parts_and_the_experiment_of_the_last(store, seeds):
    first, last = (tiny_config(seed=seed) for seed in seeds)
    write_manifest(store, "sweep", [first], "1")
    (part,) = store.list("sweeps")
    os.utime(store.path(part), (0, 0))
    write_manifest(store, "sweep", [last], "2")
    found = read_manifest(store, "sweep")
    assert found.experiment_id == "2"
    assert found.trials == {c.trial_id: c.to_dict() for c in (first, last)}


def test_preflight_names_a_store_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    settings = Settings(str(tmp_path / "file"), "", "", None)
    with pytest.raises(StoreError, match=r"store .*file: cannot write pre.*Not a directory. Check"):
        Store(settings).preflight()


def test_preflight_names_a_store_that_gives_back_something_else(settings):
    class Torn(Store):
        def get(self, key):
            return super().get(key)[:-1]

    with pytest.raises(StoreError, match="what is read is not what was written"):
        Torn(settings).preflight()


def test_s3_needs_a_tracking_server_and_a_folder_has_one(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI is not set"):
        load_settings("s3://bucket/prefix")
    assert load_settings(str(tmp_path)).tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_submitted_job_keeps_its_results_outside_the_upload(monkeypatch, tmp_path):
    upload = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    upload.mkdir(parents=True)
    monkeypatch.chdir(upload)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GROK_STORE", raising=False)
    assert load_settings().store == str(tmp_path / "grok-runs")
