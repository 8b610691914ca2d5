"""The stages of a sweep on a cluster that is up, and MLflow that is shown them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from grokmodel.core.config import Config
from grokmodel.errors import UserError
from grokmodel.machine import today
from service import provenance
from service.analysis import tasks
from service.analysis.failures import Failure, lines
from service.analysis.pending import Wish
from service.schedule import drawing, pack_size
from service.schedule.cluster import cluster_resources, warn_unless_shared
from service.schedule.plan import Plan, Resources, SweepError, make_plan
from service.schedule.progress import TaskProgress
from service.schedule.reuse import adopt
from service.schedule.space import check_space
from service.settings import Settings
from service.store import keys, marks, origins
from service.store.heartbeat import ANALYZING, Heartbeat, StoppedError
from service.store.manifest import write_manifest
from service.store.store import Store, StoreError
from service.tables.names import sweep_axes
from service.text import count
from service.tracking import outbox
from service.tracking.client import Tracking
from service.tracking.publisher import Publisher

log = logging.getLogger("grok")


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


def plan(
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
    made = make_plan(store, sweep, configs, resources, measure)
    note = pack_size.program_note(made, settings.program, resources.kind == "gpu")
    say(summary_line(made, resources) + note)
    check_space(store, made.todo)
    return made, resources


def begin(store: Store, plan: Plan, tracking: Tracking) -> None:
    """What the store says of a sweep before anything of it is trained."""
    write_manifest(store, plan.sweep, plan.configs, tracking.experiment_id)
    if plan.todo:
        origins.add_driver(store, plan.sweep, {"date": today(), **provenance.describe()})
    tracking.axes = sweep_axes(store, plan.sweep)
    store.delete_folder(keys.figures_prefix(plan.sweep))  # figures that are there show the whole
    adopt(store, plan)
    marks.mark(store, plan.sweep, [marks.SWEEP])


def analyze(
    store: Store,
    sweep: str,
    settings: Settings,
    wish: Wish,
    say: Callable[[str], None],
    heartbeat: Heartbeat,
) -> tuple[Failure, ...]:
    """The analyses that the sweep lacks, its figures and report; what failed."""
    resources = cluster_resources()
    job = tasks.Job(sweep, settings, wish)
    found = tasks.to_do(job)
    todo, failures = found.todo, list[Failure]()
    if found.lost:
        say(found.lost_in_words)
    if todo:
        say(f"analyses of {count(len(todo), 'trial')}")
    with TaskProgress(len(todo), "trials analyzed", say) as progress:
        heartbeat.watch(ANALYZING, progress.facts)
        for report in tasks.analyze(job, todo, resources.slots, resources.gpus):
            progress.add(report.trials)
            failures += report.failures
    failures += draw(store, sweep, settings)
    for line in lines(failures):
        say(f"failed: {line}")
    return tuple(failures)


def draw(store: Store, sweep: str, settings: Settings) -> list[Failure]:
    """Page and pictures of a sweep; what went wrong is returned, and harms no result."""
    try:
        drawing.draw_sweep(store, sweep, settings)
    except UserError:
        raise
    except Exception as error:
        log.warning("figures of sweep %s", sweep, exc_info=True)
        return [Failure(f"figures of sweep {sweep}", repr(error))]
    return []


def summary_line(plan: Plan, resources: Resources) -> str:
    return (
        f"sweep {plan.sweep}: {count(len(plan.configs), 'trial')}, {len(plan.done)} done already, "
        f"{len(plan.shared)} known from other sweeps, {len(plan.todo)} to train in "
        f"{count(len(plan.packs), 'pack')} on {count(resources.slots, 'slot')} of {resources}"
    )
