"""The folder of a run: few files, none of them large, each readable at any moment.

    results-<n>.zip    finished trials: `grok import-results` takes them
    resume-<n>.zip     trials that are not finished, and the sizes of packs

A file is written beside its place and then moved there. New resume points are written before the
old ones go, under other numbers; a trial that is in several counts with the last.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from grokmodel.run import archive, results
from grokmodel.run.archive import Archive, ArchiveError
from grokmodel.run.plan import PLAN, Outline, outline_of
from grokmodel.run.results import STATE, TRAINED_ON, Facts, Tables, Trial

LIMIT = 16 * 2**20
"""Bytes of a file: what lends machines often takes no more."""
SIZES = "sizes.json"
RESUME_KIND = "resume points of python -m grokmodel.run, or no such file"


class Output:
    """What is in the folder, and what is added to it.

    Args:
        most_files: beyond it no weights are written, but for rows; 0: no limit.
        analyses_bytes: room that weights leave for what analyses find of every trial.

    Raises:
        ArchiveError: the folder cannot be used, or has results of another plan.
    """

    def __init__(
        self, folder: Path, outline: Outline, facts: Facts, most_files: int, analyses_bytes: int = 0
    ) -> None:
        self.folder, self.outline, self.most_files = folder, outline, most_files
        self.done: dict[str, str] = {}
        """Phase of every finished trial."""
        self.unfinished: dict[str, Trial] = {}
        """Resume points."""
        self.sizes: dict[str, int] = {}
        """Members of a pack, by the number of its shape: the same packs are made again."""
        self.said: dict[str, str] = {}
        """What does not fit, in words."""
        self._facts, self._earlier = facts, list[Facts]()
        self._begun = time.monotonic()
        self._number, self._parts, self._left_out = 1, dict[str, bytes](), 0
        self._analyses_bytes, self._rows_bytes = analyses_bytes, 0
        self._to_analyze = 0
        self._size = archive.size_of(self._about())
        self._prepare()
        for path in results.files_in(folder):
            self._open(path)
        for path in results.numbered(folder, "resume"):
            self._restore(path)

    # --- finished trials -------------------------------------------------------------------------

    def add(self, finished: Mapping[str, Trial]) -> None:
        """Write finished trials; none of them is unfinished any more."""
        for trial_id, trial in finished.items():
            parts = trial.to_parts(trial_id)
            bare = {n: data for n, data in parts.items() if not n.endswith(archive.WEIGHTS)}
            self._rows_bytes = max(self._rows_bytes, archive.size_of(bare))
            self.done[trial_id] = str((trial.row or {})["phase"])
            self._to_analyze += 1
            if bare != parts and not self._has_room(parts):
                self._left_out += 1
                parts = bare
            self._take(parts)
        self._write()
        for trial_id in finished:
            self.unfinished.pop(trial_id, None)
        if self._left_out:
            self.said["weights"] = (
                f"weights of {self._left_out} of {len(self.done)} trials do not fit in "
                f"{self.most_files} files and are left out; their rows are there. --files 0 sets "
                "no limit"
            )

    def add_analyses(self, found: Mapping[str, Tables]) -> None:
        """Write what analyses have found of the trials that were added last."""
        self._to_analyze = 0
        for trial_id, tables in found.items():
            parts = results.part_of(trial_id, tables)
            if self._has_room(parts):
                self._take(parts)
            else:
                self.said["analyses"] = (
                    f"not all that analyses found fits in {self.most_files} files. --files 0 sets "
                    "no limit"
                )
        self._write()

    def _take(self, parts: Mapping[str, bytes]) -> None:
        """Into the file that is being filled, or a new one."""
        if self._parts and not self._fits(parts):
            self._write()
            self._number, self._parts, self._earlier = self._number + 1, {}, []
            self._size = archive.size_of(self._about())
        self._parts |= parts
        self._size += archive.size_of(parts)

    def _has_room(self, parts: Mapping[str, bytes]) -> bool:
        """Whether parts can be written within the limits, if there are any, and leave room in the
        last file for all rows to come."""
        if not self.most_files:
            return True
        if archive.size_of(self._about()) + archive.size_of(parts) > LIMIT:
            return False
        to_come = len(self.outline.configs) - len(self.done)
        reserve = to_come * self._rows_bytes + (to_come + self._to_analyze) * self._analyses_bytes
        is_last = self._number >= self.most_files - 1  # one more is for resume points
        return not is_last or self._fits(parts, reserve)

    def _fits(self, parts: Mapping[str, bytes], reserve: int = 0) -> bool:
        """Whether the file that is being filled can take these, and leave some bytes."""
        return self._size + archive.size_of(parts) + reserve <= LIMIT

    def _about(self) -> dict[str, bytes]:
        """The plan, and on what the trials of a file were trained; runs on the same are one."""
        others, seconds = [], time.monotonic() - self._begun
        for facts in self._earlier:
            if facts | {"seconds": ""} == self._facts | {"seconds": ""}:
                seconds += float(facts["seconds"])
            else:
                others.append(facts)
        known = [*others, self._facts | {"seconds": f"{seconds:.0f}"}]
        return {PLAN: self.outline.data, TRAINED_ON: json.dumps(known, indent=1).encode()}

    def _write(self) -> None:
        if self._parts:
            self._put(f"results-{self._number}.zip", self._about() | self._parts)

    # --- resume points ---------------------------------------------------------------------------

    def save(self, at_end: bool = False) -> None:
        """Write resume points in place of those that are there.

        Args:
            at_end: within the limit of files, from here on.
        """
        old = results.numbered(self.folder, "resume")
        first = max(map(results.number, old), default=0) + 1
        files = list(self._packed())
        room = self.most_files - len(results.files_in(self.folder))
        if at_end and self.most_files and len(files) > max(1, room):
            lost = sum(name.endswith(STATE) for parts in files[max(1, room) :] for name in parts)
            self.said["states"] = (
                f"resume points of {lost} of {len(self.unfinished)} unfinished trials do not fit "
                f"in {self.most_files} files: these trials start again. Smaller packs by --members "
                "leave fewer; --files 0 sets no limit"
            )
            files = files[: max(1, room)]
        for n, parts in enumerate(files, first):
            self._put(f"resume-{n}.zip", parts)
        for path in old:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """All is done: no resume point is needed."""
        for path in results.numbered(self.folder, "resume"):
            path.unlink(missing_ok=True)

    def _packed(self) -> Iterable[dict[str, bytes]]:
        """Contents of the resume files, the trials that have come farthest first."""
        about = {PLAN: self.outline.data, SIZES: json.dumps(self.sizes).encode()}
        parts, size = dict(about), archive.size_of(about)
        nearest = sorted(self.unfinished.items(), key=lambda item: -len(item[1].curve))
        for trial_id, trial in nearest:
            more = trial.to_parts(trial_id)
            grown = size + archive.size_of(more)
            if grown > LIMIT and len(parts) > len(about):
                yield parts
                parts, grown = dict(about), grown - size + archive.size_of(about)
            parts, size = parts | more, grown
        yield parts

    def _restore(self, path: Path) -> None:
        found = Archive(path, RESUME_KIND)
        self._check(path, outline_of(found))
        try:
            sizes = json.loads(found.read(SIZES))
            self.sizes |= {str(k): int(v) for k, v in sizes.items() if int(v) > 0}
        except (ValueError, TypeError, AttributeError) as error:
            raise found.damaged(SIZES, error) from error
        for trial_id in results.ids_in(found):
            trial = results.trial_of(found, trial_id, weights=True)
            if STATE in trial.weights and trial_id not in self.done:
                self.unfinished[trial_id] = trial

    # --- the folder ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make the folder, try to write to it, and remove what a kill left unfinished."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / archive.UNFINISHED).write_bytes(b"")
            for path in self.folder.glob(f"{archive.UNFINISHED}*"):
                path.unlink(missing_ok=True)
        except OSError as error:
            problem = f"{error.strerror}; need a folder to write to"
            raise ArchiveError(self.folder, problem) from error

    def _open(self, path: Path) -> None:
        """Count what is done, and go on with the last file."""
        found = results.read_results(path)
        self._check(path, found.outline)
        self.done |= {i: str((t.row or {}).get("phase")) for i, t in found.trials.items()}
        self._number = results.number(path)
        about = (PLAN, TRAINED_ON)
        self._parts = {n: found.archive.read(n) for n in found.archive.names if n not in about}
        self._earlier = list(found.trained_on)
        self._size = archive.size_of(self._about() | self._parts)

    def _check(self, path: Path, other: Outline) -> None:
        mine = self.outline
        if (other.sweep, other.configs) != (mine.sweep, mine.configs):
            problem = f"is of another plan (sweep {other.sweep}); need an empty folder"
            raise ArchiveError(path, f"{problem}, or that of this plan")

    def _put(self, name: str, parts: Mapping[str, bytes]) -> None:
        size = archive.write(self.folder / name, parts)
        if size > LIMIT:
            mib = f"{size / 2**20:.1f} MiB"
            self.said[name] = f"{name} has {mib}: one trial alone takes more than 16 MiB"


def total(folder: Path) -> tuple[int, int]:
    """Number and bytes of the files of a run."""
    words: Sequence[str] = ("results", "resume")
    files = itertools.chain.from_iterable(results.numbered(folder, word) for word in words)
    sizes = [path.stat().st_size for path in files]
    return len(sizes), sum(sizes)
