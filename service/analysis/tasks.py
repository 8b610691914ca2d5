"""Checkpoints -> analysis rows, as Ray tasks. What is done already is not done again.

A task takes some trials of one shape through all that they lack. Rows are written analysis by
analysis, the `analyses` row last, as the done-marker. What cannot be done becomes a row of
`failures` and a line for the user, and harms nothing else. A store that is away or full, which each
call has waited for, is the end: it is no failure of an analysis, and takes no row of one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from grokmodel.analysis.complexity import has_bdm
from grokmodel.catalog.analyses import BY_NAME, Analysis
from grokmodel.catalog.runs import Context
from grokmodel.core.checkpoint import CheckpointError
from grokmodel.core.family import Inputs
from grokmodel.core.member import Member
from grokmodel.core.rows import Row
from grokmodel.machine import keep_freed_memory
from service.analysis.failures import WORKER, Failure, Failures
from service.analysis.pending import Missing, Todo, Wish, adopt, batches, missing
from service.data import snapshots
from service.data.inputs import inputs_of
from service.settings import Settings
from service.store import keys
from service.store.marks import mark
from service.store.store import Store, StoreError
from service.tables.writing import write_rows

log = logging.getLogger("grok")

TASKS_PER_SLOT = 4
"""So that no slot waits long for the others at the end."""
MOST_TRIALS = {"cpu": 16, "gpu": 32}
"""Trials per task, at most: of small ones, what a task costs by itself is most of the time."""


@dataclass(frozen=True)
class Report:
    """What came of one task."""

    trials: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Job:
    """All that a worker needs besides the trials."""

    sweep: str
    settings: Settings
    wish: Wish


def analyze(job: Job, todo: Sequence[Todo], slots: int, gpus: float) -> Iterator[Report]:
    """Do what is missing by Ray tasks; yields a report of each task as it ends.

    Args:
        slots: tasks that run at a time.
        gpus: of each.

    Raises:
        StoreError: the store cannot be used.
    """
    import ray  # not needed by those who only ask what is missing

    from service.ray_tasks import results

    warn_of_what_is_left_out(todo)
    balanced = math.ceil(len(todo) / (slots * TASKS_PER_SLOT))
    size = max(1, min(balanced, MOST_TRIALS["gpu" if gpus else "cpu"]))
    task = ray.remote(num_cpus=1, num_gpus=gpus)(analysis_task)
    running = {task.remote(job, batch): batch for batch in batches(todo, size)}
    while running:
        (done,), _ = ray.wait(list(running))
        batch = running.pop(done)
        try:
            yield from results([done])
        except ray.exceptions.RayError as error:  # Ray has tried again already
            yield Report(len(batch), lost_with_worker(job, batch, error))


def lost_with_worker(job: Job, batch: Sequence[Todo], error: Exception) -> tuple[Failure, ...]:
    """What to say of the trials of a worker that died, but for those that it had come through."""
    store = Store(job.settings)
    failures = Failures(store, job.sweep)
    left = {item.trial["trial_id"] for item in missing(store, job.sweep, job.wish).todo}
    ids = [item.trial["trial_id"] for item in batch]
    return tuple(failures.write(WORKER, i, error) for i in ids if i in left)


def warn_of_what_is_left_out(todo: Sequence[Todo]) -> None:
    """One line where an optional package is not there."""
    if any("complexity" in item.names for item in todo) and not has_bdm():
        log.warning(
            "pybdm is not installed: `bdm` is left out of the table complexity; to have it: "
            "pip install 'grok-sweep[bdm]'"
        )


def to_do(job: Job) -> Missing:
    """What is missing, less what other sweeps know."""
    store = Store(job.settings)
    found = missing(store, job.sweep, job.wish)
    # of imported trials too: what another sweep knows needs no checkpoint
    if lacking := [*found.todo, *found.lost]:
        adopt(store, job.sweep, lacking, job.wish)
        found = missing(store, job.sweep, job.wish)
    return found


def analysis_task(job: Job, todo: Sequence[Todo]) -> Report:
    """Rows of some trials of one shape."""
    keep_freed_memory()
    torch.set_num_threads(1)
    store, ids = Store(job.settings), [item.trial["trial_id"] for item in todo]
    mark(store, job.sweep, ids)  # before there are rows: killed, MLflow gets what there is
    worker = Worker(job, store)
    for name in BY_NAME:
        mine = [item.trial for item in todo if name in item.names]
        if mine:
            worker.run(BY_NAME[name], mine)
    for trial_id in ids:
        worker.failures.clear(WORKER, trial_id)
    mark(store, job.sweep, ids)  # some of it may have been sent meanwhile
    return Report(len(todo), tuple(worker.failed))


class Worker:
    """Runs analyses on trials of one shape; keeps what it has loaded."""

    def __init__(self, job: Job, store: Store) -> None:
        self.job, self.store = job, store
        self.failures = Failures(store, job.sweep)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.members: dict[str, Member[Any]] = {}
        self.inputs: dict[tuple[str, ...], Inputs] = {}
        self.failed: list[Failure] = []
        """What failed, a line each."""

    def run(self, analysis: Analysis, trials: Sequence[Row]) -> None:
        """Fill the tables of one analysis for the trials whose checkpoints can be read."""
        loaded: list[tuple[Row, list[Member[Any]]]] = []
        for trial in trials:
            try:
                loaded.append((trial, self.checkpoints(trial, analysis.over_training)))
            except CheckpointError as error:
                self.fail(analysis.name, trial["trial_id"], error)
        for chunk in self.chunks(analysis, loaded):
            self.run_chunk(analysis, chunk)

    def run_chunk(self, analysis: Analysis, chunk: Sequence[tuple[Row, list[Member[Any]]]]) -> None:
        """Analyze some trials together; if that fails, each alone, so that one harms no other."""
        started = time.perf_counter()
        members = [member for _, mine in chunk for member in mine]
        try:
            found = analysis.run(members, self.context(members))
            self.write(analysis, chunk, members, found, time.perf_counter() - started)
        except StoreError:
            raise
        except Exception as error:
            if len(chunk) > 1:
                for one in chunk:
                    self.run_chunk(analysis, [one])
                return
            log.warning("analysis %s", analysis.name, exc_info=True)
            self.fail(analysis.name, chunk[0][0]["trial_id"], error)

    def write(
        self,
        analysis: Analysis,
        chunk: Sequence[tuple[Row, list[Member[Any]]]],
        members: Sequence[Member[Any]],
        found: dict[str, list[list[Any]]],
        seconds: float,
    ) -> None:
        sweep, settings = self.job.sweep, self.job.wish.settings_of(analysis)
        runs = {trial["trial_id"]: trial["run_id"] for trial, _ in chunk}
        for table, rows in analysis.rows(found, members, runs).items():
            write_rows(self.store, table, sweep, rows)
        marks = [
            analysis.mark(trial["trial_id"], trial["run_id"], len(mine),
                          seconds * len(mine) / len(members), self.device, settings)
            for trial, mine in chunk
        ]  # fmt: skip
        write_rows(self.store, "analyses", sweep, marks)
        for trial, _ in chunk:
            self.failures.clear(analysis.name, trial["trial_id"])

    def chunks(
        self, analysis: Analysis, loaded: Sequence[tuple[Row, list[Member[Any]]]]
    ) -> Iterator[list[tuple[Row, list[Member[Any]]]]]:
        """As many trials at a time as fit."""
        chunk: list[tuple[Row, list[Member[Any]]]] = []
        for trial, members in loaded:
            chunk.append((trial, members))
            if len(chunk) >= analysis.most(members[0].config, len(members), self.device):
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def context(self, members: Sequence[Member[Any]]) -> Context:
        configs = {m.config.trial_id: m.config for m in members}
        key = tuple(configs)
        if key not in self.inputs:  # of the last trials only: there may be many
            root = self.job.settings.data_root
            self.inputs = {key: inputs_of(list(configs.values()), self.store, root)}
        return Context(self.inputs[key], self.device, self.job.wish.levels_t)

    def checkpoints(self, trial: Row, over_training: bool) -> list[Member[Any]]:
        """The last snapshot of a trial, or all of its run in the order of their steps.

        Raises:
            CheckpointError: one is missing, damaged, of another version, trial or run.
        """
        trial_id, step = trial["trial_id"], int(trial["steps_run"])
        last = self.load(trial_id, step, trial["run_id"])
        if not over_training:
            return [last]
        places = snapshots.of_run(self.store, last)
        return [*(self.load(trial_id, s, run) for s, run in places if s < step), last]

    def load(self, trial_id: str, step: int, run: str) -> Member[Any]:
        key = keys.snapshot_key(trial_id, step, run)
        if key not in self.members:
            member = snapshots.load(self.store, trial_id, step, run)
            if not member.state.average.isfinite().all():
                where = self.store.uri(key)
                raise CheckpointError(where, "has weights that are not finite; nothing can be read")
            self.members[key] = member
        return self.members[key]

    def fail(self, what: str, trial_id: str, error: Exception) -> None:
        """Write the failure down, for the table and for the user."""
        self.failed.append(self.failures.write(what, trial_id, error))
