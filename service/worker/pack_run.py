"""One pack on one worker: restore, train, record."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from grokmodel.core.checkpoint import CheckpointError, load_state
from grokmodel.core.training import Round, train
from grokmodel.data.bank import SymbolBank, load_bank
from grokmodel.image.config import TrialConfig
from grokmodel.image.evaluate import Decoders
from grokmodel.image.pack import BankKey, Banks, Member, bank_key
from service.data.decoders import get_decoder
from service.settings import Settings
from service.store import keys
from service.store.store import Store
from service.tables.reading import done_ids
from service.worker.recorder import News, Recorder
from service.worker.writer import Writer

log = logging.getLogger("grok")

Trainer = Callable[[Sequence[Member], Banks, Decoders, torch.device], Iterator[Round]]
"""What trains a pack: `grokmodel.core.training.train`, or what a benchmark puts in its place."""


@dataclass(frozen=True)
class PackJob:
    """All that a worker needs to run one pack."""

    sweep: str
    settings: Settings
    configs: tuple[TrialConfig, ...]
    cpus: float
    trainer: Trainer = train


@dataclass(frozen=True)
class Progress:
    """What a worker reports after every round of evaluations."""

    steps: int
    """Steps that need no more work: those made, and those that stopped trials have left over."""
    restored: int
    """Those of them that were there before this process."""
    phases: dict[str, str]
    """Phase of every finished trial by id."""
    news: tuple[News, ...] = ()
    """What there is to be told of trials since the last report."""


class PreemptedError(RuntimeError):
    """The worker is to end; its pack is saved."""


def run_pack(job: PackJob, report: Callable[[Progress], None]) -> None:
    """Train what is left of a pack to the end; see `pack_rounds`."""
    for made in pack_rounds(job, threading.Event()):
        report(made)


def pack_rounds(job: PackJob, stopping: threading.Event) -> Generator[Progress]:
    """Train what is left of a pack; every finished trial gets its rows. Yields after each round,
    and when the last rows are written.

    While it keeps up, the store is not waited for.

    Args:
        stopping: set from outside when the worker is to end.

    Raises:
        StoreError: the store does not take what is to be written.
        PreemptedError: it was to end, and all that was trained is saved.
    """
    torch.set_num_threads(max(1, int(job.cpus)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    store = Store(job.settings)
    done = done_ids(store, job.sweep)  # a retried pack has rows already
    members = [restore(store, c) for c in job.configs if c.trial_id not in done]
    restored = sum(m.step for m in members)
    banks = {bank_key(m.config): _bank(bank_key(m.config), job.settings) for m in members}
    decoders = {key: get_decoder(store, key, bank) for key, bank in banks.items()}
    with Writer() as writer:
        recorder = Recorder(
            store, job.sweep, writer, banks, decoders, device, job.settings.checkpoint_s
        )
        recorder.begin(members)
        for round_ in job.trainer(members, banks, decoders, device):
            recorder.record(round_, at_once=stopping.is_set())
            if stopping.is_set():
                break
            yield progress(members, restored, recorder)
    if stopping.is_set():
        raise PreemptedError
    if members:
        yield progress(members, restored, recorder)


def progress(members: Sequence[Member], restored: int, recorder: Recorder) -> Progress:
    steps = sum(m.config.steps if m.finished else m.step for m in members)
    phases = {m.config.trial_id: m.phase for m in members if m.finished}
    # no other thread takes any: those that are counted are there
    news = tuple(recorder.news.get() for _ in range(recorder.news.qsize()))
    return Progress(steps, restored, phases, news)


def restore(store: Store, config: TrialConfig) -> Member:
    """The trial at its resume point, or at its start if there is none that can be read."""
    key = keys.state_key(config.trial_id)
    data = store.get_or_none(key)
    if data is None:
        return Member.start(config)
    try:
        member = load_state(data, store.uri(key))
    except CheckpointError as error:
        log.warning("starting %s afresh: %s", config.name, error)
        return Member.start(config)
    if member.config != config:
        log.warning("starting %s afresh: %s is of another config", config.name, store.uri(key))
        return Member.start(config)
    return member


@cache
def _bank(key: BankKey, settings: Settings) -> SymbolBank:
    return load_bank(*key, root=settings.data_root)
