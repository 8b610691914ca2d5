"""Results of `python -m grokmodel.run` as a bundle, so that they are imported like one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from grokmodel.catalog.analyses import ANALYSES
from grokmodel.core.rows import run_id
from grokmodel.run import results
from grokmodel.run.results import Results, Trial
from service.store.keys import snapshot_key
from service.tables.bundle import Bundle, BundleError
from service.tables.writing import TableError, arrow_of

OF_ANALYSES = {"analyses", *(table for analysis in ANALYSES for table in analysis.tables)}


def find(path: Path) -> list[list[Path]]:
    """Files of results, those of a run together: the file itself, those of a folder or, if it has
    none, of the folders in it."""
    if path.is_file():
        return [[path]]
    folders = [path] if results.files_in(path) else sorted(p for p in path.glob("*") if p.is_dir())
    return [files for folder in folders if (files := results.files_in(folder))]


def read(files: Sequence[Path]) -> list[Bundle]:
    """The files of one folder as a bundle for each plan, with every part checked.

    Raises:
        ArchiveError, BundleError: a file is damaged, foreign or of another version.
    """
    by_plan: dict[bytes, list[Results]] = {}
    for path in files:
        found = results.read_results(path)
        by_plan.setdefault(found.outline.data, []).append(found)
    return [_bundle(group) for group in by_plan.values()]


def _bundle(group: Sequence[Results]) -> Bundle:
    outline, where = group[0].outline, str(group[0].archive.path)
    parts = [(_tables(found), dict(_checkpoints(found)), found.trained_on) for found in group]
    names = sorted({name for tables, *_ in parts for name in tables})
    tables = {n: pa.concat_tables([t[n] for t, *_ in parts if n in t]) for n in names}
    checkpoints = {key: content for _, mine, _ in parts for key, content in mine.items()}
    facts = {tuple(sorted(f.items())): f for *_, said in parts for f in said}
    return Bundle(
        where, outline.sweep, outline.configs, tables, tuple(facts.values()), checkpoints
    )  # fmt: skip


def _tables(found: Results) -> dict[str, pa.Table]:
    trials: list[Trial] = list(found.trials.values())
    rows = {
        "trials": [t.row for t in trials if t.row is not None],
        "curves": [row for t in trials for row in t.curve],
        "samples": [row for t in trials for row in t.samples],
        **found.analyses,
    }
    try:
        if unknown := found.analyses.keys() - OF_ANALYSES:
            raise TableError(f"rows of {sorted(unknown)}, which no analysis fills")
        return {name: arrow_of(name, mine) for name, mine in rows.items()}
    except (TableError, ValueError, TypeError) as error:
        raise BundleError(f"{found.archive.path}: {error}; need {results.KIND}") from error


def _checkpoints(found: Results) -> Iterator[tuple[tuple[str, str], Callable[[], bytes]]]:
    """Trial and key in a store of every snapshot, and what reads it."""
    for trial_id in found.trials:
        for name in found.snapshots(trial_id):
            member, _ = found.snapshot(name)
            key = snapshot_key(trial_id, member.step, run_id(member.curve))
            yield (trial_id, key), partial(found.archive.read, name)
