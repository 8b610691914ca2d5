"""What a run leaves of a trial, as parts of a zip file, and back.

plan.json                       of the plan that was trained
trained_on.json                 facts of every run that wrote to the file
<trial>/rows.json.gz            rows of `trials` (null as long as it trains), `curves`, `samples`
<trial>/images.gz               the images of its samples, each once
<trial>/step=<n>.safetensors    averaged weights, as a store has them
<trial>/state.safetensors       what resuming needs, of a trial that is not finished
analyses-<trial>.json.gz        rows of analyses by table, of a trial of this file or another one
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grokmodel.core.checkpoint import CheckpointError
from grokmodel.core.member import Member
from grokmodel.core.rows import Row, curve_rows
from grokmodel.families import load_snapshot
from grokmodel.run.archive import WEIGHTS, Archive
from grokmodel.run.plan import PLAN, Outline, outline_of

KIND = "results of python -m grokmodel.run"
TRAINED_ON, STATE = "trained_on.json", "state.safetensors"
ROWS, IMAGES = "rows.json.gz", "images.gz"
IMAGE_COLUMNS = ("image_a", "image_b", "image_c", "image")
"""Columns of `samples` that are bytes; operands are the same at every step."""
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError,
              gzip.BadGzipFile, EOFError, zlib.error)  # fmt: skip
"""What compressed JSON raises that is damaged or of another form."""
ANALYSES = "analyses-"
"""How the name of a part with rows of analyses begins."""
Facts = dict[str, str]
Tables = dict[str, list[Row]]
"""Table -> rows."""


@dataclass
class Trial:
    """What is known of a trial."""

    row: Row | None = None
    """Of `trials`; None while it trains."""
    curve: list[Row] = field(default_factory=list)
    samples: list[Row] = field(default_factory=list)
    weights: dict[str, bytes] = field(default_factory=dict)
    """Snapshots and state, by the name of their file."""

    def to_parts(self, trial_id: str) -> dict[str, bytes]:
        """Inverse of `trial_of`."""
        images: dict[bytes, int] = {}
        samples = [
            row | {name: images.setdefault(row[name], len(images)) for name in IMAGE_COLUMNS}
            for row in self.samples
        ]
        rows = {"trial": self.row, "curves": self.curve, "samples": samples}
        sizes = [len(image) for image in images]
        data = {ROWS: json.dumps(rows | {"sizes": sizes}).encode(), IMAGES: b"".join(images)}
        data = {name: gzip.compress(part, mtime=0) for name, part in data.items()}
        return {f"{trial_id}/{name}": part for name, part in (data | self.weights).items()}


@dataclass(frozen=True)
class Results:
    """A file of finished trials."""

    archive: Archive
    outline: Outline
    trained_on: tuple[Facts, ...]
    trials: dict[str, Trial]
    """By id, without their weights."""
    analyses: Tables
    """What was found of them."""

    def snapshots(self, trial_id: str) -> list[str]:
        """Parts that hold weights of a trial."""
        return [name for name in self.archive.names if name.startswith(f"{trial_id}/step=")]

    def snapshot(self, name: str) -> tuple[Member[Any], bytes]:
        """The member of a part, and its bytes.

        Raises:
            ArchiveError: it is damaged, or of another trial or run.
        """
        data, trial_id = self.archive.read(name), name.split("/")[0]
        try:
            member = load_snapshot(data)
        except CheckpointError as error:
            raise self.archive.damaged(name, error) from error
        known, mine = self.trials[trial_id].curve, curve_rows(member)
        if len(mine) == len(known):
            is_its = mine == known
        else:  # on the way to it
            is_its = [r | {"run_id": ""} for r in mine] == [
                r | {"run_id": ""} for r in known[: len(mine)]
            ]
        if member.config.trial_id != trial_id or not is_its:
            raise self.archive.damaged(name, "it is of another trial or run")
        return member, data


def files_in(folder: Path) -> list[Path]:
    """Files with finished trials, in order."""
    return numbered(folder, "results")


def numbered(folder: Path, word: str) -> list[Path]:
    """The files `<word>-<n>.zip` of a folder, by n."""
    found = [path for path in folder.glob(f"{word}-*.zip") if number(path)]
    return sorted(found, key=number)


def number(path: Path) -> int:
    """The n of `<word>-<n>.zip`; 0 for another name."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def read_results(path: Path) -> Results:
    """A file of finished trials; every part is checked but weights: see `snapshot`.

    Raises:
        ArchiveError: it is none, damaged, or of another version.
    """
    found = Archive(path, KIND)
    outline = outline_of(found)
    try:
        facts = json.loads(found.read(TRAINED_ON))
        trained_on = tuple({str(k): str(v) for k, v in each.items()} for each in facts)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise found.damaged(TRAINED_ON, error) from error
    trials = {trial_id: trial_of(found, trial_id) for trial_id in ids_in(found)}
    for trial_id, trial in trials.items():
        config = outline.configs.get(trial_id)
        if config is None or trial.row is None:
            raise found.damaged(f"{trial_id}/{ROWS}", f"no finished trial of {PLAN}")
        if trial.row != trial.row | config.to_dict() | {"trial_id": trial_id}:
            raise found.damaged(f"{trial_id}/{ROWS}", "its row is of another config")
        if any(row.get("trial_id") != trial_id for row in (*trial.curve, *trial.samples)):
            raise found.damaged(f"{trial_id}/{ROWS}", "it has rows of another trial")
    return Results(found, outline, trained_on, trials, _analyses_of(found, outline))


def part_of(trial_id: str, tables: Tables) -> dict[str, bytes]:
    """Rows of analyses of a trial as a part."""
    data = gzip.compress(json.dumps(tables).encode(), mtime=0)
    return {f"{ANALYSES}{trial_id}.json.gz": data}


def _analyses_of(found: Archive, outline: Outline) -> Tables:
    tables: Tables = {}
    for name in found.names:
        if not name.startswith(ANALYSES):
            continue
        data = found.read(name)
        trial_id = name.removeprefix(ANALYSES).partition(".")[0]
        try:
            rows = {str(table): list(map(dict, mine)) for table, mine in
                    json.loads(gzip.decompress(data)).items()}  # fmt: skip
            ids = {row["trial_id"] for mine in rows.values() for row in mine}
            if not ids <= {trial_id} & outline.configs.keys():
                raise ValueError("it has rows of another trial")
        except UNREADABLE as error:
            raise found.damaged(name, f"{type(error).__name__}: {error}") from error
        for table, mine in rows.items():
            tables.setdefault(table, []).extend(mine)
    return tables


def ids_in(found: Archive) -> list[str]:
    """Trials that a file has something of."""
    return list(dict.fromkeys(name.split("/")[0] for name in found.names if "/" in name))


def trial_of(found: Archive, trial_id: str, weights: bool = False) -> Trial:
    """What a file has of a trial.

    Args:
        weights: with snapshots and state.

    Raises:
        ArchiveError: it is damaged.
    """
    name = f"{trial_id}/{ROWS}"
    data, packed = found.read(name), found.read(f"{trial_id}/{IMAGES}")
    try:
        rows, images = json.loads(gzip.decompress(data)), gzip.decompress(packed)
        parts, start = [], 0
        for size in rows["sizes"]:
            parts.append(images[start : start + size])
            start += size
        if start != len(images):
            raise ValueError(f"{IMAGES} has {len(images)} bytes; need {start}")
        samples = [dict(row) | {n: parts[row[n]] for n in IMAGE_COLUMNS} for row in rows["samples"]]
        row = None if rows["trial"] is None else dict(rows["trial"])
        curve = [dict(each) for each in rows["curves"]]
    except UNREADABLE as error:
        raise found.damaged(name, f"{type(error).__name__}: {error}") from error
    names = [n for n in found.names if n.startswith(f"{trial_id}/") and n.endswith(WEIGHTS)]
    kept: dict[str, Any] = {n.split("/")[1]: found.read(n) for n in names} if weights else {}
    return Trial(row, curve, samples, kept)
