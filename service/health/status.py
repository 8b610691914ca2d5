"""How a sweep stands, from the store alone: running, silent, ended, and what is left to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from service.store import keys
from service.store.heartbeat import ANALYZING, ENDED, FAILED, STOPPED, Seen, heartbeats
from service.store.manifest import read_manifest
from service.store.origins import Facts, imported_runs, trained_elsewhere, words
from service.store.store import Store
from service.tables.reading import read_table
from service.tables.summary import phase_table
from service.text import count, duration, percent

FEW = 50
"""Trials without a row whose checkpoints are looked up one by one rather than all at once."""


@dataclass(frozen=True)
class ResumePoints:
    """Trials that resume from somewhere."""

    count: int
    newest_age_s: float | None


@dataclass(frozen=True)
class Status:
    """All that `grok status` knows of a sweep."""

    sweep: str
    trials: pd.DataFrame
    """Its rows of `trials`."""
    planned: int
    drivers: tuple[Seen, ...]
    """The newest first."""
    failures: int
    """Analyses that could not be done."""
    lacking: int
    """Trials, and the sweep itself, of which MLflow lacks something."""
    resume: ResumePoints
    imported: int
    """Trials that came in a bundle."""
    trained_elsewhere: tuple[Facts, ...]
    """On what these were trained."""
    now: datetime

    @property
    def done(self) -> int:
        return len(self.trials)

    @property
    def alive(self) -> list[Seen]:
        return [seen for seen in self.drivers if seen.is_alive(self.now)]

    @property
    def shown(self) -> list[Seen]:
        """Drivers that matter now: all that are alive, or the last there was."""
        return self.alive or list(self.drivers[:1])

    def text(self) -> str:
        """Lines for a reader."""
        trials = f"{self.done} of {self.planned} trials done"
        if not self.shown:
            lines = [f"{self.sweep}: {trials}"]
        else:
            lines = [f"{self.sweep}: {self._driver(seen, trials)}" for seen in self.shown]
        lines += [f"  {line}" for line in self._left()]
        return "\n".join([*lines, phase_table(self.trials)])

    def to_dict(self) -> dict[str, Any]:
        """The same for programs."""
        drivers = [
            asdict(seen.beat)
            | {"age_s": round(seen.age_s(self.now), 1), "alive": seen.is_alive(self.now)}
            for seen in self.drivers
        ]
        return {
            "sweep": self.sweep,
            "state": self.state,
            "planned": self.planned,
            "done": self.done,
            "phases": {k: int(n) for k, n in self.trials["phase"].value_counts().items()},
            "drivers": drivers,
            "failed_analyses": self.failures,
            "not_in_mlflow": self.lacking,
            "resume_points": asdict(self.resume),
            "imported": self.imported,
            "trained_elsewhere": list(self.trained_elsewhere),
        }

    @property
    def state(self) -> str:
        """running, silent, ended, failed, stopped; unknown if no driver left a word."""
        if self.alive:
            return "running"
        if not self.drivers:
            return "unknown"
        last = self.drivers[0].beat
        return "silent" if last.is_running else last.state

    def _driver(self, seen: Seen, trials: str) -> str:
        beat, age = seen.beat, duration(seen.age_s(self.now))
        if seen.is_alive(self.now):
            parts = [f"{'analyzing' if beat.state == ANALYZING else 'running'} on {beat.host}"]
            parts.append(trials)
            if beat.state == ANALYZING:
                parts.append(f"{beat.done} of {beat.todo} trials analyzed")
            elif beat.share is not None:
                parts.append(f"{percent(beat.share)} of the steps")
            if beat.left_s is not None and beat.state != ANALYZING:
                parts.append(f"about {duration(beat.left_s)} left")
            if beat.waiting:
                parts.append(f"waiting: {beat.waiting}")
            return f"{', '.join(parts)} (seen {age} ago)"
        if beat.is_running:
            return (
                f"no sign of life from {beat.host} for {age}, {trials}; "
                "run the same command again to resume"
            )
        when = seen.modified.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        words = {ENDED: "ended", FAILED: "failed", STOPPED: "stopped"}.get(beat.state, beat.state)
        why = f": {beat.error}" if beat.error else ""
        return f"{words} {when}, {trials}{why}"

    def _left(self) -> list[str]:
        lines = []
        if self.imported:
            where = "; ".join(dict.fromkeys(map(words, self.trained_elsewhere)))
            trained = f"trained on {where or 'an unknown device'}"
            lines.append(f"{count(self.imported, 'trial')} imported, {trained}")
        if self.resume.count and self.resume.newest_age_s is not None:
            lines.append(
                f"{count(self.resume.count, 'unfinished trial has', 'unfinished trials have')} "
                f"a resume point, the newest {duration(self.resume.newest_age_s)} old"
            )
        if self.failures:
            what = count(self.failures, "analysis", "analyses")
            lines.append(
                f"{what} failed: see the table failures; grok analyze --sweep {self.sweep}"
            )
        if self.lacking:
            what = count(self.lacking, "thing is", "things are")
            lines.append(f"{what} not in MLflow yet: grok publish --sweep {self.sweep}")
        return lines


def status_of(store: Store, sweep: str, now: datetime | None = None) -> Status:
    """Read all that is known of a sweep.

    Raises:
        StoreError, TableError: the store or a part of it cannot be read.
    """
    now = now or datetime.now(UTC)
    manifest = read_manifest(store, sweep)
    planned = set(manifest.trials) if manifest else set()
    trials = read_table(store, "trials", sweep)
    done = set(trials["trial_id"])
    return Status(
        sweep,
        trials,
        len(planned),
        tuple(heartbeats(store, sweep)),
        len(read_table(store, "failures", sweep, columns=["trial_id", "analysis"])),
        # the marker of a trial without a row is of one cut short
        sum(n in done or n not in planned for n in keys.outbox_names(store, sweep)),
        _resume_points(store, planned - done, now),
        len(imported_runs(store, sweep) & set(zip(trials["trial_id"], trials["run_id"]))),
        tuple(trained_elsewhere(store, sweep)),
        now,
    )


def _resume_points(store: Store, unfinished: set[str], now: datetime) -> ResumePoints:
    if len(unfinished) <= FEW:
        found = [e for i in unfinished for e in store.entries(f"checkpoints/{i}")]
    else:
        found = store.entries("checkpoints")
    points = {keys.state_key(i) for i in unfinished}
    ages = [max(0.0, (now - e.modified).total_seconds()) for e in found if e.key in points]
    return ResumePoints(len(ages), min(ages, default=None))
