"""A sweep and its bundle, for the tests of export and import."""

from grokmodel.catalog.analyses import ANALYSES
from service.results import run_results
from service.tables.bundle import read
from service.tables.importing import import_bundles
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]
FACTS = {"date": "2026-01-02", "device": "a machine", "git.commit": "abcdef012345"}
TABLES_OF = {analysis.name: analysis.tables for analysis in ANALYSES}


def take(store, *folders):
    return import_bundles(store, [read(folder) for folder in folders])


def take_runs(store, *paths):
    """Import what runs of plans left; what is said of it."""
    runs = [files for path in paths for files in run_results.find(path)]
    bundles = [bundle for files in runs for bundle in run_results.read(files)]
    return [str(line) for line in import_bundles(store, bundles)]


def files(store):
    return {entry.key: entry.modified for entry in store.entries("")}
