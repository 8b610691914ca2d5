"""Run a sweep: plan, train packs with Ray Tune, analyze with Ray tasks, draw, summarize."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pandas as pd

from grokmodel.core.config import Config
from grokmodel.errors import ConfigError, UserError
from grokmodel.families import train
from grokmodel.machine import today
from service import provenance
from service.analysis import tasks
from service.analysis.pending import Wish, missing, out_of_reach
from service.data import inputs
from service.schedule import drawing, pack_size
from service.schedule.cluster import cluster_resources, start_ray, warn_unless_shared
from service.schedule.plan import Plan, Resources, make_plan
from service.schedule.progress import TaskProgress
from service.schedule.reuse import adopt
from service.schedule.space import check_space
from service.schedule.tune import SweepError, forget_resume_points, train_packs
from service.settings import Settings
from service.store import keys, marks, origins
from service.store.heartbeat import (
    ANALYZING,
    FAILED,
    STOPPED,
    Heartbeat,
    Seen,
    StoppedError,
    heartbeats,
)
from service.store.manifest import checked_name, read_manifest, write_manifest
from service.store.store import Store, StoreError
from service.tables.compaction import tidy
from service.tables.names import sweep_axes
from service.tables.reading import done_ids, read_table
from service.tracking import outbox
from service.tracking.client import Tracking
from service.tracking.publisher import Publisher
from service.worker.pack_run import Trainer

log = logging.getLogger("grok")


@dataclass(frozen=True)
class SweepResult:
    """What a sweep left behind."""

    trials: pd.DataFrame
    """Rows of the `trials` table of this sweep."""
    seconds: float
    figures: tuple[str, ...]
    """Keys of the figures in the store."""
    failures: tuple[str, ...]
    """Analyses and drawings that could not be done, a line each."""
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
            say(f"sweep {sweep}: all {len(configs)} trials are done already")
            if others and others[0].beat.state in (FAILED, STOPPED):
                marks.mark(store, sweep, [marks.SWEEP])  # of which MLflow says so
            outbox.publish(settings, sweep, say, status="FINISHED")
            return _result(store, sweep, known.experiment_id, started, ())
        tracking = _start(sweep, settings)
        plan, resources = _plan(store, sweep, configs, settings, say, gpus)
        inputs.prepare(plan.todo, settings)
        with shown(store, sweep, tracking, say) as publisher:
            _begin(store, plan, tracking)
            outbox.offer(store, sweep, publisher)  # what is known, while the rest is trained
            train_packs(plan, resources, settings, publisher, say, trainer, heartbeat)
            forget_resume_points(store, plan)
            outbox.offer(store, sweep, publisher)  # what the workers could not send
            failures = _analyze(store, sweep, settings, wish, say, heartbeat)
        tidy(store, sweep)
    return _result(store, sweep, tracking.experiment_id, started, failures)


def analyze_sweep(
    sweep: str, settings: Settings, wish: Wish, say: Callable[[str], None]
) -> tuple[str, ...]:
    """Do the analyses that a trained sweep lacks, draw it, write its report and send all that.

    Returns:
        Analyses that could not be done, a line each.
    """
    store = Store(settings)
    start_ray()
    with Heartbeat(store, sweep) as heartbeat:
        failures = _analyze(store, sweep, settings, wish, say, heartbeat)
        status = "FINISHED" if outbox.is_trained(store, sweep) else None
        outbox.publish(settings, sweep, say, status=status)
    return failures


@contextlib.contextmanager
def shown(
    store: Store, sweep: str, tracking: Tracking, say: Callable[[str], None]
) -> Iterator[Publisher]:
    """MLflow shows a sweep as running; at the end all that is marked, and how it ended.

    After a failure of the packs too everything is sent. Whatever else ends the sweep, Ctrl-C or a
    store that is away, ends the sending: what is marked waits for the same command.

    Raises:
        TrackingError: MLflow does not answer at the start.
    """
    tracking.open_sweep(provenance.describe())
    with Publisher(tracking) as publisher:
        try:
            yield publisher
            outbox.flush(store, sweep, publisher, say, "FINISHED")
        except BaseException as error:
            is_failure = isinstance(error, Exception) and not isinstance(error, StoppedError)
            status = "FAILED" if is_failure else "KILLED"
            outbox.end(store, sweep, tracking, status)
            if isinstance(error, SweepError):
                with contextlib.suppress(StoreError):  # it may be why the sweep failed, and is said
                    outbox.flush(store, sweep, publisher, say, status)
            raise


def _start(sweep: str, settings: Settings) -> Tracking:
    """MLflow and Ray at the same time: both are waited for, for seconds."""
    with ThreadPoolExecutor(1) as pool:
        tracking = pool.submit(Tracking.start, settings.tracking_uri, sweep, settings.artifacts)
        start_ray()  # in the main thread, the only one that may handle signals
        return tracking.result()


def _plan(
    store: Store,
    sweep: str,
    configs: Sequence[Config],
    settings: Settings,
    say: Callable[[str], None],
    gpus: int | None,
) -> tuple[Plan, Resources]:
    """What is to be done on the cluster."""
    warn_unless_shared(settings)
    resources = cluster_resources(gpus)
    measure = partial(pack_size.most_members, data_root=settings.data_root)
    plan = make_plan(store, sweep, configs, resources, measure)
    say(summary_line(plan, resources))
    check_program(settings.program, plan.todo, resources)
    check_space(store, plan.todo)
    return plan, resources


def check_program(program: str | None, configs: Sequence[Config], resources: Resources) -> None:
    """Raise a ConfigError if torch cannot run steps in this way."""
    in_bfloat16 = any(getattr(config, "precision", "") == "bfloat16" for config in configs)
    if program == "compiled" and in_bfloat16 and not resources.gpus:
        need = "eager for trials in bfloat16 on CPUs, for which torch 2.13 writes faulty C++"
        raise ConfigError("GROK_PROGRAM", program, need)


def _begin(store: Store, plan: Plan, tracking: Tracking) -> None:
    """What the store says of a sweep before anything of it is trained."""
    write_manifest(store, plan.sweep, plan.configs, tracking.experiment_id)
    if plan.todo:
        origins.add_driver(store, plan.sweep, {"date": today(), **provenance.describe()})
    tracking.axes = sweep_axes(store, plan.sweep)
    store.delete_folder(keys.figures_prefix(plan.sweep))  # figures that are there show the whole
    adopt(store, plan)
    marks.mark(store, plan.sweep, [marks.SWEEP])


def _warn_of(others: Sequence[Seen], sweep: str) -> None:
    """Two drivers of one sweep harm nothing, but train what both find missing."""
    for seen in others:
        if seen.is_alive():
            log.warning(
                "sweep %s is run by another driver too, pid %d on %s, seen %.0f s ago: what both "
                "find missing is trained twice; rows stay single",
                sweep, seen.beat.pid, seen.beat.host, seen.age_s(),
            )  # fmt: skip


def _analyze(
    store: Store,
    sweep: str,
    settings: Settings,
    wish: Wish,
    say: Callable[[str], None],
    heartbeat: Heartbeat,
) -> tuple[str, ...]:
    """The analyses that the sweep lacks, its figures and report; what failed, a line each."""
    resources = cluster_resources()
    job = tasks.Job(sweep, settings, wish)
    todo = tasks.to_do(job)
    failures: list[str] = []
    if lost := out_of_reach(store, sweep, wish):
        say(lost)
    if todo:
        say(f"analyses of {len(todo)} trials")
    with TaskProgress(len(todo), "trials analyzed", say) as progress:
        heartbeat.watch(ANALYZING, progress.facts)
        for report in tasks.analyze(job, todo, resources.slots, resources.gpus):
            progress.add(report.trials)
            failures += report.failures
    failures += draw(store, sweep, settings)
    for line in failures:
        say(f"failed: {line}")
    return tuple(failures)


def draw(store: Store, sweep: str, settings: Settings) -> list[str]:
    """Page and pictures of a sweep; what went wrong is returned, and harms no result."""
    try:
        drawing.draw_sweep(store, sweep, settings)
    except UserError:
        raise
    except Exception as error:
        log.warning("figures of sweep %s", sweep, exc_info=True)
        return [f"figures of sweep {sweep}: {error!r}"]
    return []


def is_complete(store: Store, sweep: str, configs: Sequence[Config], wish: Wish) -> bool:
    """Every trial has its row and its analyses, and the figures are drawn."""
    trained = {c.trial_id for c in configs} <= done_ids(store, sweep)
    return trained and not missing(store, sweep, wish) and drawing.is_drawn(store, sweep)


def _result(
    store: Store, sweep: str, experiment_id: str, started: float, failures: tuple[str, ...]
) -> SweepResult:
    trials = read_table(store, "trials", sweep)
    seconds = time.monotonic() - started
    return SweepResult(trials, seconds, _figures(store, sweep), failures, experiment_id)


def _figures(store: Store, sweep: str) -> tuple[str, ...]:
    return tuple(store.list(keys.figures_prefix(sweep)))


def summary_line(plan: Plan, resources: Resources) -> str:
    return (
        f"sweep {plan.sweep}: {len(plan.configs)} trials, {len(plan.done)} done already, "
        f"{len(plan.shared)} known from other sweeps, {len(plan.todo)} to train in "
        f"{len(plan.packs)} packs on {resources.slots} slots of {resources}"
    )
