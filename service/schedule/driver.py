"""Run a sweep: plan, train packs with Ray Tune, analyze with Ray tasks, draw, summarize.

What can be said before anything starts is found out first. MLflow, Tune and matplotlib take seconds
to load, and Ray seconds to start, so they are loaded while it starts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from grokmodel.core.config import Config
from grokmodel.families import train
from service.analysis.failures import Failure
from service.analysis.pending import Wish, missing
from service.data import inputs
from service.schedule.cluster import start_ray
from service.settings import Settings
from service.store import marks
from service.store.heartbeat import FAILED, STOPPED, Heartbeat, Seen, heartbeats
from service.store.manifest import checked_name, read_manifest
from service.store.store import Store
from service.tables.compaction import tidy
from service.tables.reading import done_ids, read_table

if TYPE_CHECKING:
    from service.tracking.client import Tracking
    from service.worker.pack_run import Trainer

log = logging.getLogger("grok")


@dataclass(frozen=True)
class SweepResult:
    """What a sweep left behind."""

    trials: pd.DataFrame
    """Rows of the `trials` table of this sweep."""
    seconds: float
    failures: tuple[Failure, ...]
    """Analyses and drawings that could not be done."""
    experiment_id: str
    """MLflow's id of the sweep."""


def run_sweep(
    sweep: str,
    configs: Sequence[Config],
    settings: Settings,
    say: Callable[[str], None],
    wish: Wish,
    trainer: Trainer = train,
    gpus: int | None = None,
) -> SweepResult:
    """Bring a sweep to its end from wherever it stands.

    MLflow has to be there when training starts; from then on it is sent what it takes, and what it
    lacks at the end is a line for the user.

    Args:
        wish: which analyses follow the training.
        gpus: plan for this many, which an autoscaling cluster will come up with.

    Raises:
        StoreError: the store cannot be used.
        ConfigError: the name may be taken for that of another sweep.
        TrackingError: MLflow does not answer; nothing is started.
        SweepError: stopped, or packs that failed for good; what is done is in the tables.
    """
    store = Store(settings)
    store.preflight()
    checked_name(sweep, store)
    others = heartbeats(store, sweep)
    _warn_of(others, sweep)
    started = time.monotonic()
    with Heartbeat(store, sweep) as heartbeat:
        configs = inputs.bind(configs, settings.data_root)
        known = read_manifest(store, sweep)
        if known and is_complete(store, sweep, configs, wish):
            done = "its 1 trial is" if len(configs) == 1 else f"all {len(configs)} trials are"
            say(f"sweep {sweep}: {done} done already")
            if others and others[0].beat.state in (FAILED, STOPPED):
                marks.mark(store, sweep, [marks.SWEEP])  # of which MLflow says so
            from service.tracking import outbox

            outbox.publish(settings, sweep, say, status="FINISHED")
            return _result(store, sweep, known.experiment_id, started, ())
        tracking = _start(sweep, settings)
        from service.schedule import stages, tune
        from service.tracking import outbox

        plan, resources = stages.plan(store, sweep, configs, settings, say, gpus)
        inputs.prepare(plan.todo, settings)
        with stages.shown(store, sweep, tracking, say) as publisher:
            stages.begin(store, plan, tracking)
            outbox.offer(store, sweep, publisher)  # what is known, while the rest is trained
            tune.train_packs(plan, resources, settings, publisher, say, trainer, heartbeat)
            tune.forget_resume_points(store, plan)
            outbox.offer(store, sweep, publisher)  # what the workers could not send
            failures = stages.analyze(store, sweep, settings, wish, say, heartbeat)
        tidy(store, sweep)
    return _result(store, sweep, tracking.experiment_id, started, failures)


def analyze_sweep(
    sweep: str, settings: Settings, wish: Wish, say: Callable[[str], None]
) -> tuple[Failure, ...]:
    """Do the analyses that a trained sweep lacks, draw it, write its report and send all that.

    Returns:
        Analyses and drawings that could not be done.
    """
    store = Store(settings)
    start_ray()
    from service.schedule import stages
    from service.tracking import outbox

    with Heartbeat(store, sweep) as heartbeat:
        failures = stages.analyze(store, sweep, settings, wish, say, heartbeat)
        status = "FINISHED" if outbox.is_trained(store, sweep) else None
        outbox.publish(settings, sweep, say, status=status)
    return failures


def _start(sweep: str, settings: Settings) -> Tracking:
    """MLflow and Ray at the same time."""
    with ThreadPoolExecutor(1) as pool:
        tracking = pool.submit(_open_mlflow, sweep, settings)
        start_ray()  # in the main thread, the only one that may handle signals
        return tracking.result()


def _open_mlflow(sweep: str, settings: Settings) -> Tracking:
    """The sweep's experiment. Loads nothing of Ray, which another thread may be loading."""
    from service.tracking.client import Tracking

    return Tracking.start(settings.tracking_uri, sweep, settings.artifacts)


def _warn_of(others: Sequence[Seen], sweep: str) -> None:
    """Two drivers of one sweep harm nothing, but train what both find missing."""
    for seen in others:
        if seen.is_alive():
            log.warning(
                "sweep %s is run by another driver too, pid %d on %s, seen %.0f s ago: what both "
                "find missing is trained twice; rows stay single",
                sweep, seen.beat.pid, seen.beat.host, seen.age_s(),
            )  # fmt: skip


def is_complete(store: Store, sweep: str, configs: Sequence[Config], wish: Wish) -> bool:
    """Every trial has its row and its analyses, and the figures are drawn."""
    trained = {c.trial_id for c in configs} <= done_ids(store, sweep)
    if not trained or missing(store, sweep, wish).todo:
        return False
    from service.schedule import drawing

    return drawing.is_drawn(store, sweep)


def _result(
    store: Store, sweep: str, experiment_id: str, started: float, failures: tuple[Failure, ...]
) -> SweepResult:
    trials = read_table(store, "trials", sweep)
    seconds = time.monotonic() - started
    return SweepResult(trials, seconds, failures, experiment_id)
