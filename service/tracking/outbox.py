"""What MLflow lacks, and how it is sent: a mark in the store for every trial, and for the sweep.

`outbox/<sweep>/<trial_id>/<token>` is written before the trial's row and removed when MLflow has
all of the trial; below `outbox/<sweep>/sweep` are those of the sweep's own figures and report. Who
sends removes the marks seen before: what changes while it is being sent has a mark that stays. What
is sent is read from tables and store, so it can be sent at any time later, and again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from service.settings import Settings
from service.store import keys, origins
from service.store.heartbeat import FAILED, STOPPED, heartbeats
from service.store.manifest import read_manifest
from service.store.marks import SWEEP, mark, marked
from service.store.store import Store, StoreError
from service.tables.headlines import headlines
from service.tables.names import sweep_axes
from service.tables.reading import done_ids, read_table
from service.tables.summary import settings_table
from service.text import grok_command
from service.tracking.client import Tracking, TrackingError
from service.tracking.inputs import source_tags
from service.tracking.publisher import Publisher

LINE_EVERY_S = 30.0
PATIENCE_S = 15.0
"""How long the driver tries a server that does not answer, once its own work is done."""
ENDINGS = {FAILED: "FAILED", STOPPED: "KILLED"}
"""What a driver says that did not come to the end of a sweep -> what MLflow says of it."""
STUCK_LINES = 4
"""Lines without progress after which a server that never fails counts as away too."""


def send_trial(
    store: Store,
    sweep: str,
    row: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]] | pd.DataFrame,
    tracking: Tracking,
) -> None:
    """All that the tables and the store know of a finished trial, if it is marked."""
    marks = store.list(keys.outbox_prefix(sweep, row["trial_id"]))
    if not marks:
        return
    step = int(row["steps_run"])

    def files() -> dict[str, bytes]:
        snapshot = store.get_or_none(keys.snapshot_key(row["trial_id"], step, row["run_id"]))
        return {} if snapshot is None else {f"checkpoint/step={step}.safetensors": snapshot}

    rows = curve.to_dict("records") if isinstance(curve, pd.DataFrame) else curve
    tracking.log_trial(row, rows, files)
    _unmark(store, marks)


def send_sweep(store: Store, sweep: str, status: str | None, tracking: Tracking) -> None:
    """Figures, report, plan and summary of a sweep and, unless it is None, how it has ended."""
    marks = store.list(keys.outbox_prefix(sweep, SWEEP))
    if not marks:
        return
    manifest, trials = read_manifest(store, sweep), read_table(store, "trials", sweep)
    configs = list(manifest.trials.values()) if manifest else []
    summary = settings_table(trials) if len(trials) else ""
    phases = trials["phase"].value_counts().to_dict()
    # a search for a boundary has the name of its sweep
    files = _files(store, f"{keys.boundary_prefix(sweep)}/")
    files |= _files(store, f"{keys.figures_prefix(sweep)}/")
    report = files.pop("figures/report.html", None)
    plan = manifest.to_json(sweep) if manifest else None
    top = {"report.html": report, "plan.json": plan}
    files |= {name: data for name, data in top.items() if data is not None}
    tracking.log_sweep(files, summary, configs, phases, status)
    _unmark(store, marks)


def send_progress(store: Store, sweep: str, tracking: Tracking) -> None:
    """How far a sweep is that is being trained."""
    manifest = read_manifest(store, sweep)
    phases = read_table(store, "trials", sweep, columns=["phase"])["phase"]
    tracking.log_progress(phases.value_counts().to_dict(), len(manifest.trials) if manifest else 0)


def offer(store: Store, sweep: str, publisher: Publisher, status: str | None = None) -> None:
    """Hand all that is marked and done to a publisher; returns at once.

    Args:
        status: how the sweep has ended; None leaves what MLflow says of it.
    """
    names = marked(store, sweep)
    if not names:
        return
    trials = read_table(store, "trials", sweep, names)
    curves = read_table(store, "curves", sweep, names).sort_values(["trial_id", "step"])
    curve_of = dict(iter(curves.groupby("trial_id")))
    found = headlines(store, sweep, list(trials["trial_id"]))
    for row in trials.to_dict("records"):
        row |= found.get(row["trial_id"], {})
        curve = curve_of.get(row["trial_id"], curves.iloc[:0])
        publisher.offer(row["trial_id"], partial(send_trial, store, sweep, row, curve))
    if SWEEP in names:
        publisher.offer(SWEEP, partial(send_sweep, store, sweep, status))


def flush(
    store: Store,
    sweep: str,
    publisher: Publisher,
    say: Callable[[str], None],
    status: str | None = None,
) -> bool:
    """Send all that is marked, as long as the server takes it; says what it did not take.

    Args:
        status: how the sweep has ended; None leaves what MLflow says of it.

    Returns:
        Whether MLflow has everything.
    """
    if status is not None:
        mark(store, sweep, [SWEEP])  # what was sent of it before says RUNNING
    offer(store, sweep, publisher, status)
    before, still = 0, 0
    while still < STUCK_LINES and (left := publisher.drain(LINE_EVERY_S, PATIENCE_S)):
        if publisher.is_away(PATIENCE_S):
            break
        say(f"{left} trials are still to be sent to MLflow")
        still = still + 1 if left == before else 0
        before = left
    lacking = _lacking(store, sweep)
    if lacking:
        why = f"does not answer: {publisher.trouble}" if publisher.trouble else "did not take all"
        say(f"MLflow at {publisher.uri} {why}. {_words(store, sweep, lacking)}")
    return not lacking


def publish(
    settings: Settings,
    sweep: str,
    say: Callable[[str], None],
    status: str | None = None,
) -> bool:
    """The same for those who have no publisher yet; a server that is away is one line, no error.

    Args:
        status: how the sweep has ended; None: as its drivers have said.
    """
    store = Store(settings)
    if not (lacking := _lacking(store, sweep)):
        return True
    status = status or ended_as(store, sweep)
    try:
        tracking = Tracking.start(settings.tracking_uri, sweep, settings.artifacts, 0.0)
        tracking.axes = sweep_axes(store, sweep)
        tracking.source = source_tags((origins.trained_on(store, sweep) or [{}])[-1])
    except TrackingError as error:
        say(f"{error}. {_words(store, sweep, lacking)}")
        return False
    with Publisher(tracking) as publisher:
        return flush(store, sweep, publisher, say, status)


def end(store: Store, sweep: str, tracking: Tracking, status: str) -> None:
    """Tell MLflow how a sweep has ended, and nothing else: whoever stops it does not wait for what
    is still to be sent."""
    with Publisher(tracking) as publisher:
        publisher.offer(SWEEP, lambda tracking: tracking.end_sweep(status))
        if publisher.drain(PATIENCE_S, PATIENCE_S):
            with contextlib.suppress(StoreError):  # what ended the sweep matters more
                mark(store, sweep, [SWEEP])


def ended_as(store: Store, sweep: str) -> str | None:
    """How a sweep has ended, as MLflow says it; None: it runs, or nobody knows."""
    seen = heartbeats(store, sweep)
    if any(driver.is_alive() for driver in seen):
        return None
    said = ENDINGS.get(seen[0].beat.state) if seen else None
    return said or ("FINISHED" if is_trained(store, sweep) else None)


def is_trained(store: Store, sweep: str) -> bool:
    """Whether every trial that was asked for has its row."""
    manifest = read_manifest(store, sweep)
    return manifest is not None and manifest.trials.keys() <= done_ids(store, sweep)


def _lacking(store: Store, sweep: str) -> list[str]:
    """What is marked and can be sent: the marker of a trial without a row is of one cut short."""
    names = marked(store, sweep)
    done = set(read_table(store, "trials", sweep, names, ["trial_id"])["trial_id"])
    return [name for name in names if name == SWEEP or name in done]


def _words(store: Store, sweep: str, lacking: Sequence[str]) -> str:
    trials = sum(name != SWEEP for name in lacking)
    what = f"{trials} trials" if trials else "The figures and the report"
    return (
        f"{what} of {sweep} are not shown there yet; tables and figures in the store are complete. "
        f"To send the rest: {grok_command(store.url, 'publish', '--sweep', sweep)}, "
        "or the same command again"
    )


def _files(store: Store, prefix: str) -> dict[str, bytes]:
    """All figures below a prefix, as artifacts."""
    keys = store.list(prefix.rstrip("/"))
    return {f"figures/{key.removeprefix(prefix)}": store.get(key) for key in keys}


def _unmark(store: Store, marks: Sequence[str]) -> None:
    for key in marks:
        store.delete(key)
    if not store.is_s3:
        store.delete_empty_folder(marks[0].rpartition("/")[0])
