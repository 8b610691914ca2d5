"""The rows of a sweep as a folder that lasts: small files for a repository or a colleague.

    <sweep>/bundle.json      versions, counts, where it was trained, sha256 of each file
    <sweep>/manifest.json    the sweep's configs
    <sweep>/<table>.parquet  rows in the order of their keys

The same rows give the same bytes: nothing in it says when or by whom it was exported. Checkpoints
and pictures are not part of it, nor failures, which are a store's own. A mark of `analyses` is left
out if a table of its analysis is, because it says that its rows are there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grokmodel.configs import config_from
from grokmodel.core.config import SCIENCE_VERSION, Config
from grokmodel.errors import ConfigError, UserError, shown
from service.store.manifest import SWEEP_NAME, Manifest, parsed, read_manifest
from service.store.objects import Folder, StoreError
from service.store.origins import Facts, check_facts, trained_on
from service.store.store import Store
from service.tables import parquet
from service.tables.compaction import merged
from service.tables.reading import read_arrow
from service.tables.schema import SCHEMA_VERSION, TABLES
from service.text import one_line

FORMAT = 1
"""Raised when a bundle of another make is no longer read."""
INDEX, MANIFEST = "bundle.json", "manifest.json"
EXPORTED = tuple(name for name in TABLES if name != "failures")
LARGE = ("pca", "samples")
"""Points of one figure, and images: exported only if they are named."""
BY_DEFAULT = tuple(name for name in EXPORTED if name not in LARGE)
ALWAYS = ("trials", "analyses")
COUNTS = ("format", "science_version", "schema_version", "trials")


class BundleError(UserError, ValueError):
    """A bundle cannot be made, or used. Names the file, what was found and what is needed."""


@dataclass(frozen=True)
class Bundle:
    """What is in a folder, checked."""

    where: str
    sweep: str
    configs: dict[str, Config]
    """Of all trials that the sweep was asked for, by id."""
    tables: dict[str, pa.Table]
    trained_on: tuple[Facts, ...]
    checkpoints: Mapping[tuple[str, str], Callable[[], bytes]] = field(default_factory=dict)
    """Trial and key in a store -> what reads a checkpoint; a folder of tables has none."""

    @property
    def runs(self) -> dict[str, str]:
        """Run of every trial that is done."""
        trials = self.tables["trials"]
        return dict(zip(trials["trial_id"].to_pylist(), trials["run_id"].to_pylist()))


# --- from a store --------------------------------------------------------------------------------


def export(
    store: Store,
    sweep: str,
    out: Path,
    tables_of: Mapping[str, Sequence[str]],
    names: Iterable[str] = BY_DEFAULT,
) -> dict[str, Any]:
    """Write the bundle of a sweep to `<out>/<sweep>`, in place of one that is there.

    Trials of another science version are left out: no store would take them.

    Args:
        tables_of: analysis -> its tables.
        names: tables.

    Returns:
        What its `bundle.json` says.

    Raises:
        BundleError: no trial is done, or the folder is no bundle or cannot be written.
        StoreError, TableError: the store cannot be read.
    """
    manifest = read_manifest(store, sweep) or Manifest("", {})
    configs = {i: manifest.trials[i] for i in sorted(manifest.trials)}
    configs = {i: config for i, config in configs.items() if _config(i, config)}
    done = read_arrow(store, "trials", sweep, configs, ["trial_id"])["trial_id"].to_pylist()
    if not done:
        version = f"science version {SCIENCE_VERSION}"
        raise BundleError(f"no trial of {sweep!r} in {store.url} is done in {version}; need one")
    tables = _tables(store, sweep, done, {*ALWAYS, *names}, tables_of)
    files = {f"{name}.parquet": parquet.to_bytes(rows, "zstd") for name, rows in tables.items()}
    files[MANIFEST] = Manifest("", configs).to_json(sweep)
    index = _index(sweep, tables, files, trained_on(store, sweep))
    _write(out, sweep, files | {INDEX: json.dumps(index, indent=1).encode()})
    return index


def _tables(
    store: Store,
    sweep: str,
    done: Sequence[str],
    names: Set[str],
    tables_of: Mapping[str, Sequence[str]],
) -> dict[str, pa.Table]:
    """Rows of trials in the order of their keys, and marks of the analyses that have all theirs."""
    found = {name: read_arrow(store, name, sweep, done) for name in EXPORTED if name in names}
    tables = {n: merged(TABLES[n], [rows.drop_columns("sweep")]) for n, rows in found.items()}
    marks = tables["analyses"]["analysis"].to_pylist()
    whole = [mark in tables_of and set(tables_of[mark]) <= names for mark in marks]
    tables["analyses"] = tables["analyses"].filter(pa.array(whole, pa.bool_()))
    return {name: rows for name, rows in tables.items() if rows.num_rows}


def _index(
    sweep: str,
    tables: Mapping[str, pa.Table],
    files: Mapping[str, bytes],
    facts: Sequence[Facts],
) -> dict[str, Any]:
    seconds = {name: tables[name][c].to_pylist() if name in tables else []
               for name, c in (("trials", "wall_s"), ("analyses", "seconds"))}  # fmt: skip
    return {
        "format": FORMAT,
        "sweep": sweep,
        "science_version": SCIENCE_VERSION,
        "schema_version": SCHEMA_VERSION,
        "trials": tables["trials"].num_rows,
        "training_s": round(sum(filter(None, seconds["trials"])), 1),
        "analysis_s": round(sum(filter(None, seconds["analyses"])), 1),
        "devices": sorted(filter(None, pc.unique(tables["trials"]["device"]).to_pylist())),
        "trained_on": list(facts),
        "rows": {name: rows.num_rows for name, rows in tables.items()},
        "files": {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)},
    }


def _write(out: Path, sweep: str, files: Mapping[str, bytes]) -> None:
    """Each file whole and the index last; between them it is no bundle."""
    folder = Folder(str(out))
    try:
        there = {entry.key.removeprefix(f"{sweep}/") for entry in folder.entries(sweep)}
        if there and INDEX not in there:
            raise BundleError(f"{out / sweep}: has files, but no {INDEX}; need a bundle or nothing")
        gone = {f"{name}.parquet" for name in TABLES} & there - files.keys()
        for name in (INDEX, *gone):
            folder.delete(f"{sweep}/{name}")
        for name in sorted(files, key=lambda name: name == INDEX):
            folder.put(f"{sweep}/{name}", files[name])
    except OSError as error:
        raise BundleError(f"{out / sweep}: {error.strerror}; need a folder to write to") from error


# --- from a folder -------------------------------------------------------------------------------


def find(folder: Path) -> list[Path]:
    """The folder itself if it is a bundle, or the bundles in it."""
    if (folder / INDEX).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{INDEX}"))


def read(folder: Path) -> Bundle:
    """A bundle, with every file checked.

    Raises:
        BundleError: a file is missing, damaged or not of a bundle of this version.
    """
    index = _checked_index(folder / INDEX)
    names = {name.removesuffix(".parquet") for name in index["files"]} - {MANIFEST}
    data = {name: _data(folder / name, sha256) for name, sha256 in index["files"].items()}
    configs = _configs(data[MANIFEST], folder / MANIFEST)
    tables = {
        name: _table(name, data[f"{name}.parquet"], folder / f"{name}.parquet")
        for name in TABLES
        if name in names
    }
    done = set(tables["trials"]["trial_id"].to_pylist())
    if not done <= configs.keys():
        raise BundleError(f"{folder / MANIFEST}: lacks trials that have rows; need all of them")
    for name, rows in tables.items():
        where, said = folder / f"{name}.parquet", index["rows"].get(name)
        if rows.num_rows != said:
            raise BundleError(f"{where}: {rows.num_rows} rows; need {said}, as {INDEX} says")
        if not set(pc.unique(rows["trial_id"]).to_pylist()) <= done:
            raise BundleError(
                f"{where}: rows of trials that are not done; need those of trials.parquet"
            )
    return Bundle(str(folder), index["sweep"], configs, tables, tuple(index["trained_on"]))


def _checked_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_bytes())
        numbers = [index[name] for name in COUNTS] + list(index["rows"].values())
        if not all(type(number) is int for number in numbers):
            raise TypeError(f"{', '.join(COUNTS)} and rows have to be whole numbers")
        for facts in (index["files"], *index["trained_on"]):
            check_facts(facts)
        if not SWEEP_NAME.fullmatch(index["sweep"]):
            raise ValueError(f"sweep = {shown(index['sweep'])}")
    except OSError as error:
        raise BundleError(
            f"{path}: {error.strerror}; need a bundle of grok export-results"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"[:300]
        raise BundleError(f"{path}: damaged ({what}); need it as it was exported") from error
    if index["format"] != FORMAT:
        raise BundleError(f"{path}: format = {index['format']}; need {FORMAT}")
    if index["science_version"] != SCIENCE_VERSION:
        version = index["science_version"]
        raise BundleError(f"{path}: science_version = {version}; need {SCIENCE_VERSION}: results "
                          "of another are no results of this one")  # fmt: skip
    if index["schema_version"] > SCHEMA_VERSION:
        version = index["schema_version"]
        raise BundleError(f"{path}: schema_version = {version}; need {SCHEMA_VERSION} or older")
    known = {MANIFEST, *(f"{name}.parquet" for name in EXPORTED)}
    if odd := sorted(index["files"].keys() - known):
        raise BundleError(f"{path}: lists {shown(odd[0])}; need tables of `grok columns`")
    if lacking := sorted({MANIFEST, "trials.parquet"} - index["files"].keys()):
        raise BundleError(f"{path}: does not list {lacking[0]}; need it")
    return dict(index)


def _data(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; need every file of {INDEX}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BundleError(f"{path}: damaged (sha256 {found[:16]}...); need {sha256[:16]}...")
    return data


def _configs(data: bytes, where: Path) -> dict[str, Config]:
    try:
        manifest = parsed(data, str(where))
    except StoreError as error:
        raise BundleError(f"{where}: no manifest of a sweep; need it as it was exported") from error
    configs = {i: _config(i, values) for i, values in manifest.trials.items()}
    for trial_id, config in configs.items():
        if config is None:
            raise BundleError(f"{where}: trial {trial_id} has other config fields than those of "
                              "this version; need trials that it could train")  # fmt: skip
    return {i: config for i, config in configs.items() if config}


def _config(trial_id: str, values: Mapping[str, Any]) -> Config | None:
    """The config of a trial, unless it is one of another version, by whose fields it has its id."""
    try:
        config = config_from(values)
    except (ConfigError, TypeError):
        return None
    return config if config.trial_id == trial_id else None


def _table(name: str, data: bytes, where: Path) -> pa.Table:
    """Rows with nulls for columns that are younger than they are."""
    table = TABLES[name]
    try:
        found = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
        if odd := [column for column in found.column_names if column not in table.arrow.names]:
            raise BundleError(f"{where}: column {shown(odd[0])}; need those of `grok columns`")
        rows = merged(table, [found])
    except (pa.ArrowException, OSError) as error:
        raise BundleError(f"{where}: {one_line(error)}; need rows of table {name}") from error
    for column in (*table.identity, "schema_version"):
        if rows[column].null_count:
            raise BundleError(f"{where}: rows without {column}; need it in every row")
    return rows
