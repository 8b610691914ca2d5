"""What the commands of `grok` do that move results between stores; each returns an exit code."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from service.cli.store_commands import store_with
from service.settings import Settings
from service.store.store import Store
from service.tables.bundle import (
    BY_DEFAULT,
    EXPORTED,
    INDEX,
    LARGE,
    BundleError,
    export,
    find,
    read,
)
from service.tables.importing import import_bundles
from service.tables.reading import done_ids
from service.text import byte_size, count


def add(verbs: Any) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Add the two commands; returns their parsers."""
    exporting = verbs.add_parser("export-results", help="rows of sweeps as small files that last")
    exporting.add_argument("sweeps", nargs="+", metavar="SWEEP")
    exporting.add_argument(
        "--out", default="results", metavar="DIR",
        help="gets a folder per sweep (default: %(default)s)",
    )  # fmt: skip
    exporting.add_argument(
        "--tables", nargs="+", choices=EXPORTED, default=BY_DEFAULT, metavar="TABLE",
        help=f"besides trials and analyses; of {', '.join(EXPORTED)} (default: all but "
        f"{', '.join(LARGE)}: images and points of one figure, most of all bytes)",
    )  # fmt: skip
    exporting.set_defaults(run=run_export)
    importing = verbs.add_parser(
        "import-results", help="take exported rows into a store, as if trained there"
    )
    importing.add_argument(
        "folders",
        nargs="+",
        metavar="DIR",
        help="a bundle, a folder of bundles, or what python -m grokmodel.run left",
    )
    importing.set_defaults(run=run_import)
    return exporting, importing


def run_export(settings: Settings, args: argparse.Namespace) -> int:
    from grokmodel.catalog.analyses import ANALYSES  # torch: only when it is needed

    tables_of = {analysis.name: analysis.tables for analysis in ANALYSES}
    store, out = Store(settings), Path(args.out)
    for sweep in args.sweeps:  # before anything is written
        store_with(sweep, settings)
    for sweep in args.sweeps:
        index = export(store, sweep, out, tables_of, args.tables)
        size = sum(path.stat().st_size for path in (out / sweep).iterdir())
        print(f"{out / sweep}: {count(index['trials'], 'trial')}, {byte_size(size)}")
        if others := len(done_ids(store, sweep)) - index["trials"]:
            print(f"  {count(others, 'trial')} of another science version left out")
        if not index["trained_on"]:
            print("  where they were trained is not known: the store has no note of it")
    return 0


def run_import(settings: Settings, args: argparse.Namespace) -> int:
    from service.results import run_results  # torch: only when it is needed

    bundles = []
    for name in args.folders:
        path = Path(name)
        folders, runs = find(path), run_results.find(path)
        if not folders and not runs:
            raise BundleError(
                f"{path}: neither {INDEX} nor results-1.zip there; need a bundle of grok "
                "export-results, or results of python -m grokmodel.run"
            )
        bundles += [read(folder) for folder in folders]
        bundles += [bundle for files in runs for bundle in run_results.read(files)]
    for line in import_bundles(Store(settings), bundles):
        print(line)
    return 0
