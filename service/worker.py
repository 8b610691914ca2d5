"""One pack on one worker: restore, train, track, save.

Order of writes of a finished trial: snapshot, MLflow, `curves`, `trials`, and only then its resume
point goes. Killed at any moment, the pack is run again: trials with a row are done, the others go
on from their resume point.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from grokmodel.checkpoint import CheckpointError, dump_snapshot, dump_state, load_state
from grokmodel.config import TrialConfig
from grokmodel.evaluate import Decoders, accuracy
from grokmodel.pack import BankKey, Banks, Member, Pack, bank_key
from grokmodel.symbols import SymbolBank, load_bank
from grokmodel.train import Round, train
from service import figures, storage
from service.decoders import get_decoder
from service.rows import Row, curve_rows, trial_row
from service.samples import sample_pictures
from service.settings import Settings
from service.storage import Store
from service.tables import done_ids, write_rows
from service.tracking import Tracking

log = logging.getLogger("grok")

CHECKPOINT_S = 30.0
"""Seconds between resume points: the work that a kill can cost."""


@dataclass(frozen=True)
class PackJob:
    """All that a worker needs to run one pack."""

    sweep: str
    settings: Settings
    experiment_id: str
    parent_id: str
    configs: tuple[TrialConfig, ...]
    cpus: float


@dataclass(frozen=True)
class Progress:
    """What a worker reports after every round of evaluations."""

    steps: int
    """Steps that need no more work: those made, and those that stopped trials have left over."""
    phases: dict[str, str]
    """Phase of every finished trial by id."""

    def to_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "phases": self.phases}


def run_pack(job: PackJob, report: Callable[[Progress], None]) -> None:
    """Train what is left of a pack to the end; every finished trial gets its rows and its run."""
    torch.set_num_threads(max(1, int(job.cpus)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    store = Store(job.settings)
    tracking = Tracking.attach(job.settings.tracking_uri, job.experiment_id, job.parent_id)
    done = done_ids(store, job.sweep)  # a retried pack has rows already
    members = [restore(store, c) for c in job.configs if c.trial_id not in done]
    banks = {bank_key(m.config): _bank(bank_key(m.config), job.settings) for m in members}
    decoders = {key: get_decoder(store, key, bank) for key, bank in banks.items()}
    finisher = Finisher(job, store, tracking, banks, decoders, device)
    runs = {m.config.trial_id: tracking.trial_run(m.config) for m in members}
    finisher.finish([m for m in members if m.finished], runs)
    saved_at = time.monotonic()
    for round_ in train(members, banks, decoders, device):
        finisher.finish([m for m in round_.evaluated if m.finished], runs)
        _save_snapshots(store, round_)
        if time.monotonic() - saved_at > CHECKPOINT_S:
            _save_states(store, tracking, runs, round_)
            saved_at = time.monotonic()
        report(progress(members))


def progress(members: Sequence[Member]) -> Progress:
    steps = sum(m.config.steps if m.finished else m.step for m in members)
    return Progress(steps, {m.config.trial_id: m.phase for m in members if m.finished})


def restore(store: Store, config: TrialConfig) -> Member:
    """The trial at its resume point, or at its start if there is none that can be read."""
    key = storage.state_key(config.trial_id)
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


def is_snapshot_step(step: int, every: int) -> bool:
    """Log-spaced steps at which weights are kept: two an octave, 0, 1, 2, 3, 4, 6, 8, 12, ...
    times `every`."""
    rounds = step // every
    while rounds > 3 and rounds % 2 == 0:
        rounds //= 2
    return rounds <= 3


@dataclass(frozen=True)
class Finisher:
    """Writes what a finished trial leaves behind."""

    job: PackJob
    store: Store
    tracking: Tracking
    banks: Banks
    decoders: Decoders
    device: torch.device

    def finish(self, members: Sequence[Member], runs: dict[str, str]) -> None:
        """Snapshot, MLflow run and rows of members that have just finished."""
        if not members:
            return
        pack = Pack(members, self.banks, self.device)
        steps = pack.shape.final_sample_steps
        finals = accuracy(pack, self.decoders, self.banks, steps)
        one_steps = accuracy(pack, self.decoders, self.banks, 1)
        pictures = sample_pictures(pack, self.banks)
        device = self._device_name()
        rows = [trial_row(*found, device) for found in zip(members, finals, one_steps, strict=True)]
        for member, row, picture in zip(members, rows, pictures, strict=True):
            self._publish(member, row, picture, runs[member.config.trial_id])
        curves = [row for member in members for row in curve_rows(member)]
        write_rows(self.store, "curves", self.job.sweep, curves)
        write_rows(self.store, "trials", self.job.sweep, rows)
        for member in members:
            self.store.delete(storage.state_key(member.config.trial_id))

    def _publish(self, member: Member, row: Row, picture: bytes, run_id: str) -> None:
        """Snapshot, then the trial's MLflow run."""
        snapshot = dump_snapshot(member)
        self.store.put(storage.snapshot_key(member.config.trial_id, member.step), snapshot)
        curve = curve_rows(member)
        self.tracking.log_curve(run_id, curve)
        files = {
            "curve.png": figures.png(figures.trial_curve(row, curve)),
            "samples.png": picture,
            f"checkpoint/step={member.step}.safetensors": snapshot,
        }
        self.tracking.finish_trial(run_id, row, files)

    def _device_name(self) -> str:
        return torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"


def _save_snapshots(store: Store, round_: Round) -> None:
    due = [
        m
        for m in round_.evaluated
        if not m.finished and is_snapshot_step(m.step, m.config.eval_every)
    ]
    for member in due:
        round_.pack.write_back(member)
        store.put(storage.snapshot_key(member.config.trial_id, member.step), dump_snapshot(member))


def _save_states(store: Store, tracking: Tracking, runs: dict[str, str], round_: Round) -> None:
    """Resume points, and the curves so far for those who watch."""
    round_.write_back()
    for member in round_.evaluated:
        if not member.finished:
            store.put(storage.state_key(member.config.trial_id), dump_state(member))
            tracking.log_curve(runs[member.config.trial_id], curve_rows(member))
