"""One pack on one worker: restore, train, record."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

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
from service.tracking.client import Tracking
from service.tracking.publisher import Publisher
from service.worker.recorder import Recorder
from service.worker.writer import Writer

log = logging.getLogger("grok")

DRAIN_S, DRAIN_SHARE = 5.0, 0.005
"""How long a pack that has ended waits for MLflow: seconds, and share of the time it trained. The
driver sends the rest."""

Trainer = Callable[[Sequence[Member], Banks, Decoders, torch.device], Iterator[Round]]
"""What trains a pack: `grokmodel.core.training.train`, or what a benchmark puts in its place."""


@dataclass(frozen=True)
class PackJob:
    """All that a worker needs to run one pack."""

    sweep: str
    settings: Settings
    experiment_id: str
    parent_id: str
    configs: tuple[TrialConfig, ...]
    cpus: float
    trainer: Trainer = train
    axes: tuple[str, ...] = ()
    """Fields that the sweep varies."""


@dataclass(frozen=True)
class Progress:
    """What a worker reports after every round of evaluations."""

    steps: int
    """Steps that need no more work: those made, and those that stopped trials have left over."""
    restored: int
    """Those of them that were there before this process."""
    phases: dict[str, str]
    """Phase of every finished trial by id."""

    def to_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "restored": self.restored, "phases": self.phases}


class PreemptedError(RuntimeError):
    """The worker is to end; its pack is saved."""


def run_pack(job: PackJob, report: Callable[[Progress], None]) -> None:
    """Train what is left of a pack to the end; see `pack_rounds`."""
    for made in pack_rounds(job, threading.Event()):
        report(made)


def pack_rounds(job: PackJob, stopping: threading.Event) -> Generator[Progress]:
    """Train what is left of a pack; every finished trial gets its rows. Yields after each round.

    Neither MLflow nor, while it keeps up, the store is waited for.

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
    uri = job.settings.tracking_uri
    tracking = Tracking.attach(uri, job.experiment_id, job.parent_id, job.axes)
    started = time.monotonic()
    with Publisher(tracking) as publisher:
        with Writer() as writer:
            recorder = Recorder(
                store,
                job.sweep,
                writer,
                publisher,
                banks,
                decoders,
                device,
                job.settings.checkpoint_s,
            )
            recorder.begin(members)
            for round_ in job.trainer(members, banks, decoders, device):
                recorder.record(round_, at_once=stopping.is_set())
                if stopping.is_set():
                    break
                yield progress(members, restored)
        if stopping.is_set():
            raise PreemptedError
        publisher.drain(min(DRAIN_S, DRAIN_SHARE * (time.monotonic() - started)))


def progress(members: Sequence[Member], restored: int) -> Progress:
    steps = sum(m.config.steps if m.finished else m.step for m in members)
    return Progress(steps, restored, {m.config.trial_id: m.phase for m in members if m.finished})


def restore(store: Store, config: TrialConfig) -> Member:
    """The trial at its resume point, or at its start if there is none that can be read."""
    key = keys.state_key(config.trial_id)
    data = store.get_or_none(key)
    if data is None:
        return Member.start(config)
    try:
        member = load_state(data, store.uri(key))
    except CheckpointError as error:
        log.warning("starting trial %s afresh: %s", config.trial_id, error)
        return Member.start(config)
    if member.config != config:
        where = store.uri(key)
        log.warning("starting trial %s afresh: %s is of another config", config.trial_id, where)
        return Member.start(config)
    return member


@cache
def _bank(key: BankKey, settings: Settings) -> SymbolBank:
    return load_bank(*key, root=settings.data_root)
