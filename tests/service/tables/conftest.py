"""A sweep that is exported: its rows, its bundle, another store."""

import dataclasses
import shutil

import pytest

from service.settings import Settings
from service.store import origins
from service.store.manifest import write_manifest
from service.store.store import Store
from service.tables.bundle import EXPORTED, export
from tests.service.rows import analyze, finish
from tests.service.tables.bundles import CONFIGS, FACTS, TABLES_OF


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A sweep of which two of three trials are done, and analyzed; and its bundle."""
    folder = tmp_path_factory.mktemp("template")
    store = Store(Settings(str(folder / "store"), "", ""))
    rows = finish(store, "mine", CONFIGS[:2])
    write_manifest(store, "mine", CONFIGS[2:], "1")
    analyze(store, "mine", rows)
    origins.add_driver(store, "mine", FACTS)
    export(store, "mine", folder / "out", TABLES_OF, EXPORTED)
    return folder, rows


@pytest.fixture
def rows(template, store):
    """Those of its `trials`; it is in the store."""
    shutil.copytree(template[0] / "store", store.url)
    return template[1]


@pytest.fixture
def bundle(template, rows, tmp_path):
    return shutil.copytree(template[0] / "out", tmp_path / "out") / "mine"


@pytest.fixture
def empty(settings, tmp_path):
    return Store(dataclasses.replace(settings, store=str(tmp_path / "other")))
