"""Manifests and writes: a damaged file is named, half a file is never seen."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given

from service.settings import Settings
from service.store import keys
from service.store.manifest import read_manifest, write_manifest
from service.store.store import Store, StoreError
from tests.properties.strategies import JSON, damages, share
from tests.service.tiny import tiny_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = tuple(tiny_config(seed=s) for s in range(2))
IDS = [c.trial_id for c in CONFIGS]


@pytest.fixture
def store(tmp_path):
    return Store(Settings(str(tmp_path / "store"), "", "", None))


def manifest_or_named(store, data):
    """What is read of these bytes, or None if they are refused by name."""
    store.put(keys.sweep_key("mine", "1"), data)
    try:
        return read_manifest(store, "mine")
    except StoreError as refusal:
        error = str(refusal)
    assert "sweeps/mine/1.json: damaged (" in error
    assert "delete it and run the sweep again" in error
    assert len(error) < 700
    return None


def assert_manifest(found):
    assert isinstance(found.experiment_id, str)
    assert all(len(i) == 16 and isinstance(c, dict) for i, c in found.trials.items())


# --- manifests -----------------------------------------------------------------------------------


@share(1)
@given(damage=damages())
def test_a_damaged_manifest_is_named_or_still_one(store, damage):
    write_manifest(store, "whole", CONFIGS, "1")
    (key,) = store.list("sweeps/whole")
    found = manifest_or_named(store, damage(store.get(key)))
    if found is not None:
        assert_manifest(found)
    store.delete(keys.sweep_key("mine", "1"))


@share(2)
@given(body=JSON, trials=JSON, experiment=JSON)
@example({}, {"0123456789abcdef": 5}, "1")
@example({}, {"../../x": {}}, "1")
@example({}, [["a", 1]], "1")
@example({}, {}, None)
def test_any_json_is_no_manifest_or_a_whole_one(store, body, trials, experiment):
    for whole in (body, {"experiment_id": experiment, "trials": trials}):
        found = manifest_or_named(store, json.dumps(whole).encode())
        if found is not None:
            assert_manifest(found)


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a": "' + b"\xff" * 50_000], ids=range(2))
def test_deeply_nested_json_and_bytes_that_are_no_text_are_named_without_quoting_them(store, data):
    assert manifest_or_named(store, data) is None


def test_a_manifest_of_a_newer_version_is_read_and_kept(store):
    """What it says that this version does not know is not lost when the sweep is run again."""
    newer = {IDS[0]: CONFIGS[0].to_dict() | {"color": "blue"}}
    whole = {"experiment_id": "1", "trials": newer, "later": 5}
    assert manifest_or_named(store, json.dumps(whole).encode()).trials == newer
    write_manifest(store, "mine", CONFIGS[1:], "1")
    assert read_manifest(store, "mine").trials == newer | {IDS[1]: CONFIGS[1].to_dict()}


# --- writes that fail ----------------------------------------------------------------------------

LIMITED = """
import resource, signal, sys
from service.settings import Settings
from service.store.store import Store, StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
store = Store(Settings(sys.argv[1], "", "", None), patience_s=0.0)
try:
    store.put("a/key", bytes(1_000_000))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("before", [None, b"what was there"])
def test_a_write_that_is_cut_short_leaves_what_was_there(store, before):
    """By a limit on the size of files, as a full disk would."""
    if before is not None:
        store.put("a/key", before)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, store.url], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout
    assert store.get_or_none("a/key") == before
    files = [p for p in Path(store.url).rglob("*") if p.is_file()]
    assert len(files) == (before is not None)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096
