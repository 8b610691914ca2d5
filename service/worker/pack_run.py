"""One pack on one worker: restore, train, record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from grokmodel import families
from grokmodel.core.config import Config
from grokmodel.core.family import Inputs
from grokmodel.core.member import Member
from grokmodel.core.training import Round
from grokmodel.machine import keep_freed_memory
from service.data.inputs import inputs_of
from service.settings import Settings
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table
from service.worker.recorder import News, Recorder
from service.worker.writer import Writer

REPORT_S = 5.0
"""Seconds between reports of a pack that is trained and waits for its rows to be written."""

Trainer = Callable[[Sequence[Member[Any]], Inputs, torch.device, str], Iterator[Round[Any]]]
"""What trains a pack: `families.train`, or what takes its place in a benchmark."""


@dataclass(frozen=True)
class PackJob:
    """All that a worker needs to run one pack."""

    sweep: str
    settings: Settings
    configs: tuple[Config, ...]
    cpus: float
    trainer: Trainer = families.train


@dataclass(frozen=True)
class Progress:
    """What a worker reports after every round of evaluations."""

    steps: int
    """Steps that need no more work: those made, and those that stopped trials have left over."""
    restored: int
    """Those of them that were there before this process."""
    phases: dict[str, str]
    """Phase of every trial that has its row, by id."""
    waiting: str = ""
    """What the store says that takes nothing now, and is tried again; empty if it is well."""
    news: tuple[News, ...] = ()
    """What there is to be told of trials since the last report."""


class PreemptedError(RuntimeError):
    """The worker is to end; its pack is saved."""


def pack_rounds(job: PackJob, stopping: threading.Event) -> Generator[Progress]:
    """Train what is left of a pack; every finished trial gets its rows. Yields after each round,
    while the last rows are written, and when they are.

    While it keeps up, the store is not waited for.

    Args:
        stopping: set from outside when the worker is to end.

    Raises:
        StoreError: the store does not take what is to be written.
        PreemptedError: it was to end, and all that was trained is saved.
    """
    keep_freed_memory()
    torch.set_num_threads(max(1, int(job.cpus)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    store = Store(job.settings)
    done = phases_of(store, job)  # a retried pack has rows already
    members = [restore(store, c) for c in job.configs if c.trial_id not in done]
    restored = steps_made(job, members)
    inputs = inputs_of([m.config for m in members], store, job.settings.data_root)
    with Writer() as writer:
        recorder = Recorder(store, job.sweep, writer, inputs, device, job.settings.checkpoint_s)

        def progress() -> Progress:
            phases = done | recorder.phases
            # no other thread takes any: those that are counted are there
            news = tuple(recorder.news.get() for _ in range(recorder.news.qsize()))
            return Progress(steps_made(job, members), restored, phases, store.waiting, news)

        recorder.begin(members)
        for round_ in job.trainer(members, inputs, device, job.settings.program):
            is_last = stopping.is_set()  # asked once: what comes while it is recorded is seen next
            recorder.record(round_, at_once=is_last)
            if is_last:
                break
            yield progress()
        while not (stopping.is_set() or writer.wait(REPORT_S)):
            yield progress()
    if stopping.is_set():
        raise PreemptedError
    yield progress()


def steps_made(job: PackJob, members: Sequence[Member[Any]]) -> int:
    """Steps of a pack that need no more work, given its trials that had no row."""
    left = sum(m.config.steps - m.step for m in members if not m.finished)
    return sum(c.steps for c in job.configs) - left


def phases_of(store: Store, job: PackJob) -> dict[str, str]:
    """Phases of the pack's trials that have their rows, by id."""
    ids = [c.trial_id for c in job.configs]
    rows = read_table(store, "trials", job.sweep, ids, ["trial_id", "phase"])
    return dict(zip(rows["trial_id"], rows["phase"], strict=True))


def restore(store: Store, config: Config) -> Member[Any]:
    """The trial at its resume point, or at its start if there is none that can be read."""
    key = keys.state_key(config.trial_id)
    data = store.get_or_none(key)
    if data is None:
        return families.start(config)
    return families.resumed(config, data, store.uri(key))
