"""What a pack leaves behind while it trains: resume points, snapshots, samples, rows.

Results are copied off the device by the thread that trains; everything else - serializing,
uploading - happens in the writer's thread. What MLflow is to be told is news for the driver.

Samples wait in memory until a resume point or a row is written that comes after them, so that files
are few and a kill loses none. Order of writes of a finished trial: snapshot, samples, outbox
marker, `curves`, `trials`, and only then its resume point goes. Killed at any moment, the pack is
run again: trials with a row are done, the others resume from their resume point, and MLflow gets
what is marked.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

import torch

from grokmodel.core.checkpoint import dump_snapshot, dump_state, is_snapshot_step
from grokmodel.core.family import Inputs
from grokmodel.core.member import Member
from grokmodel.core.rows import Finished, Row, curve_rows, run_id, thinned
from grokmodel.core.training import Round
from grokmodel.families import family_of
from service.store import keys
from service.store.marks import mark
from service.store.store import Store
from service.tables.writing import write_rows
from service.worker.writer import Writer

FINISHED_AT_ONCE = 16
"""Trials that get their rows together: enough to keep files few, not so many that a kill costs
much."""
SHOWN_AFTER_S = 5.0
"""Seconds in training after which a trial is shown: one that is done sooner is shown as a whole."""


@dataclass(frozen=True)
class News:
    """What a worker reports of a trial, for those who watch."""

    trial_id: str
    curve: Sequence[Row]
    """Its curve so far, thinned."""
    row: Row | None = None
    """Of `trials`, once it is written."""


class Recorder:
    """Records one pack."""

    def __init__(
        self,
        store: Store,
        sweep: str,
        writer: Writer,
        inputs: Inputs,
        device: torch.device,
        checkpoint_s: float,
    ) -> None:
        self.store, self.sweep, self.checkpoint_s = store, sweep, checkpoint_s
        self.writer = writer
        self.news: SimpleQueue[News] = SimpleQueue()
        """For the driver: what is written, and curves so far."""
        self.inputs, self.device = inputs, device
        self.began = self.saved_at = time.monotonic()
        self.shown = False
        """Whether those who watch were told of its trials."""
        self.saving: Future[None] | None = None
        self.phases: dict[str, str] = {}
        """Phase of every trial whose row is written, by id."""
        self._samples: list[Row] = []
        """That no row or resume point needs yet."""

    def begin(self, members: Sequence[Member[Any]]) -> None:
        """Finish what a kill left unfinished."""
        self._finish([m for m in members if m.finished])

    def record(self, round_: Round[Any], at_once: bool = False) -> None:
        """Take down what a round brought; raises what an earlier write raised.

        Args:
            at_once: save resume points now, because there may be no later.
        """
        self.writer.check()
        self._finish([m for m in round_.evaluated if m.finished])
        self._save_snapshots(round_)
        if not self.shown and time.monotonic() - self.began > SHOWN_AFTER_S:
            self.shown = True
            for member in round_.evaluated:
                if not member.finished:
                    self._show(member)
        is_due = time.monotonic() - self.saved_at > self.checkpoint_s
        # a store that is slower than that gets fewer resume points, not a queue of them
        if at_once or (is_due and (self.saving is None or self.saving.done())):
            self._save_states(round_)
            self.saved_at = time.monotonic()

    # --- in the thread that trains ---------------------------------------------------------------

    def _save_snapshots(self, round_: Round[Any]) -> None:
        due = [
            m
            for m in round_.evaluated
            if not m.finished and is_snapshot_step(m.step, m.config.eval_every)
        ]
        if not due:
            return
        family = family_of(due[0].config)
        for rows in family.samples(due, round_.pack, self.inputs).values():
            self._samples += rows
        for member in due:
            round_.pack.write_back(member)
            copy = frozen(member)
            self.writer.submit(partial(self._write_snapshot, copy), nbytes(copy))

    def _take_samples(self) -> list[Row]:
        taken, self._samples = self._samples, []
        return taken

    def _save_states(self, round_: Round[Any]) -> None:
        round_.write_back()
        live = [frozen(m) for m in round_.evaluated if not m.finished]
        samples = self._take_samples()
        self.saving = self.writer.submit(partial(self._write_states, live, samples))

    def _finish(self, members: Sequence[Member[Any]]) -> None:
        if not members:
            return
        copies = [frozen(member) for member in members]
        found = family_of(copies[0].config).finish(copies, self.inputs, self.device)
        samples = [*self._take_samples(), *(row for done in found for row in done.samples)]
        for i in range(0, len(found), FINISHED_AT_ONCE):
            some = found[i : i + FINISHED_AT_ONCE]
            size = sum(nbytes(done.member) for done in some)
            self.writer.submit(partial(self._write_finished, some, samples), size)
            samples = []

    # --- in the writer's thread ------------------------------------------------------------------

    def _write_snapshot(self, member: Member[Any]) -> None:
        key = keys.snapshot_key(member.config.trial_id, member.step, run_id(member.curve))
        self.store.put(key, dump_snapshot(member))

    def _write_states(self, members: Sequence[Member[Any]], samples: Sequence[Row]) -> None:
        """Resume points, and the curves so far for those who watch."""
        write_rows(self.store, "samples", self.sweep, samples)
        for member in members:
            self.store.put(keys.state_key(member.config.trial_id), dump_state(member))
            self._show(member)

    def _write_finished(self, found: Sequence[Finished], samples: Sequence[Row]) -> None:
        for done in found:
            self._write_snapshot(done.member)
        write_rows(self.store, "samples", self.sweep, samples)
        rows = {done.trial["trial_id"]: done.trial for done in found}
        mark(self.store, self.sweep, list(rows))
        write_rows(self.store, "curves", self.sweep, [row for done in found for row in done.curve])
        write_rows(self.store, "trials", self.sweep, list(rows.values()))
        self.phases = self.phases | {i: row["phase"] for i, row in rows.items()}  # another one
        for (trial_id, row), done in zip(rows.items(), found, strict=True):
            self.store.delete(keys.state_key(trial_id))
            self.news.put(News(trial_id, thinned(done.curve), row))

    def _show(self, member: Member[Any]) -> None:
        """The curve so far of a trial in training."""
        rows = curve_rows(dataclasses.replace(member, curve=thinned(member.curve)))
        self.news.put(News(member.config.trial_id, rows))


def frozen(member: Member[Any]) -> Member[Any]:
    """The member as it is now; training replaces its state and lengthens its curve."""
    return dataclasses.replace(member, curve=list(member.curve))


def nbytes(member: Member[Any]) -> int:
    """Memory that the state of a member takes."""
    return sum(t.numel() * t.element_size() for t in vars(member.state).values())
