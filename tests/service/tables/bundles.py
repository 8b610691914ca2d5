"""A sweep and its bundle, for the tests of export and import."""

from service.analysis.registry import ANALYSES
from service.tables.bundle import read
from service.tables.importing import import_bundles
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]
FACTS = {"date": "2026-01-02", "device": "a machine", "git.commit": "abcdef012345"}
TABLES_OF = {analysis.name: analysis.tables for analysis in ANALYSES}


def take(store, *folders):
    return import_bundles(store, [read(folder) for folder in folders])


def files(store):
    return {entry.key: entry.modified for entry in store.entries("")}
