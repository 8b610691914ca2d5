"""No name of a sweep makes another unreadable, nor takes what belongs to it."""

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grokmodel.errors import ConfigError
from service.cli import commands
from service.health.garbage import find
from service.health.status import status_of
from service.settings import Settings
from service.store import keys, marks
from service.store.heartbeat import Heartbeat, heartbeats
from service.store.manifest import checked_name, read_manifest, sweep_names, write_manifest
from service.store.store import Store
from service.tables.reading import done_ids
from service.tables.writing import write_rows
from sweeps import grok_boundary, grok_phase
from tests.properties.strategies import share
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]
NAMES = st.text("ab.-_=/ s", max_size=5) | st.sampled_from(
    ["demo", "demo.json", "demo.json.json", "sweep", "report.html", "ray", "sweep=a", "a" * 64]
)


@pytest.fixture
def store(tmp_path):
    return Store(Settings(str(tmp_path / "store"), "", "", None))


def is_allowed(name):
    try:
        return checked_name(name) == name
    except ConfigError:
        return False


def leave(store, sweep, config):
    """All that a sweep of one trial leaves under its name."""
    write_manifest(store, sweep, [config], sweep)
    Heartbeat(store, sweep)._write()
    marks.mark(store, sweep, [marks.SWEEP, config.trial_id])
    for prefix in (keys.figures_prefix(sweep), keys.boundary_prefix(sweep)):
        store.put(f"{prefix}/report.html", sweep.encode())
    write_rows(store, "trials", sweep, [finished_row(config)])


def assert_own(store, sweep, config):
    """What is found under a name is what was left under it."""
    assert read_manifest(store, sweep).experiment_id == sweep
    assert set(read_manifest(store, sweep).trials) == done_ids(store, sweep) == {config.trial_id}
    assert marks.marked(store, sweep) == sorted([config.trial_id, marks.SWEEP])
    assert len(heartbeats(store, sweep)) == 1
    assert status_of(store, sweep).planned == 1
    for prefix in (keys.figures_prefix(sweep), keys.boundary_prefix(sweep)):
        assert {store.get(key) for key in store.list(prefix)} == {sweep.encode()}


@share(0.3)
@given(names=st.lists(NAMES, min_size=2, max_size=3, unique_by=str.casefold))
@example(names=["demo.json", "demo"])  # either folder, or file, would be in the way of the other
@example(names=["other", "other.json"])
@example(names=["a", "a.", "a-"])
@example(names=["sweep", "sweep=sweep"])
def test_allowed_names_stay_apart(tmp_path_factory, names):
    store = Store(Settings(str(tmp_path_factory.mktemp("names")), "", "", None))
    sweeps = {name: c for name, c in zip(names, CONFIGS, strict=False) if is_allowed(name)}
    for sweep, config in sweeps.items():
        leave(store, sweep, config)
    for sweep, config in sweeps.items():
        assert_own(store, sweep, config)
    assert set(sweep_names(store)) == sweeps.keys()
    assert find(store, older_than_h=0.0) == []
    if sweeps:  # and for a reader that knows nothing of us
        frame = pd.read_parquet(store.path("tables/trials"))
        ids = dict(zip(frame["sweep"], frame["trial_id"]))
        assert ids == {sweep: config.trial_id for sweep, config in sweeps.items()}


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a.", "a..", ".a", "_a", "1", "a/b", "a=b", "a b", "a\n", "ä", "a" * 65,
     "Default", "default"],
)  # fmt: skip
def test_a_name_is_refused_where_something_else_would_make_another_of_it(name):
    """Some file systems drop a last dot, Parquet readers skip `.` and `_`, MLflow has a Default."""
    with pytest.raises(ConfigError, match="--name"):
        checked_name(name)


def test_names_that_differ_in_case_only_are_one_to_some_file_systems(store):
    write_manifest(store, "demo", CONFIGS, "1")
    assert checked_name("demo", store) == "demo"
    assert checked_name("demo2", store) == "demo2"
    with pytest.raises(ConfigError, match=r"--name = 'Demo' is not allowed.*'demo'"):
        checked_name("Demo", store)


def test_a_command_refuses_such_a_name_before_it_leaves_anything(store, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("GROK_OPTUNA", raising=False)
    write_manifest(store, "demo", CONFIGS, "1")
    before = store.list("")
    axes = ["--x", "lr", "1e-3", "1e-2", "--y", "weight_decay", "0.1", "9"]
    for script, flags in ((grok_phase, ["--preset", "smoke"]), (grok_boundary, axes)):
        assert script.main([*flags, "--name", "Demo", "--store", store.url]) == 2
        assert "'Demo' is not allowed" in capsys.readouterr().err
    assert store.list("") == before


@pytest.mark.parametrize("name", [".", "", "demo/", "../sweeps/demo", "demo/../demo"])
def test_no_path_is_taken_for_a_sweep(store, name, capsys):
    write_manifest(store, "demo", CONFIGS, "1")
    assert commands.main(["status", f"--sweep={name}", "--store", store.url]) == 2
    assert f"no sweep {name!r}" in capsys.readouterr().err


def test_a_file_beside_the_folders_of_sweeps_is_no_sweep(store):
    write_manifest(store, "demo", CONFIGS, "1")
    store.put("sweeps/notes.json", b"{}")
    assert sweep_names(store) == ["demo"]
    assert find(store, older_than_h=0.0) == []
