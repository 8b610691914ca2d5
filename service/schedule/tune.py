"""Trains the packs of a plan: one Ray Tune trial per pack."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from operator import methodcaller
from typing import Any

from ray import tune
from ray.tune.execution import class_cache

from service.schedule.failures import Reasons, Starts
from service.schedule.plan import Plan, Resources, SweepError, SweepStoppedError
from service.schedule.progress import SweepProgress, Watcher
from service.schedule.upkeep import Upkeep
from service.settings import Settings
from service.store.heartbeat import TRAINING, Heartbeat
from service.store.keys import state_key
from service.store.store import Store
from service.tables.reading import done_ids
from service.tracking import outbox
from service.tracking.publisher import Publisher, Send
from service.worker.actor import PackTrainable
from service.worker.pack_run import PackJob, Trainer

MAX_FAILURES = 10
"""Times that Tune starts a pack again whose worker, node or store was lost, as happens on machines
that can be taken away; it resumes from its last resume points."""
MOST_WAITING = 2000
"""Messages that wait for MLflow beyond which the driver keeps no more in memory."""
PROGRESS, PROGRESS_EVERY_S = "progress", 60.0
"""Key and pace of the messages of how far the sweep is."""

AWS_SECRETS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
}


def train_packs(
    plan: Plan,
    resources: Resources,
    settings: Settings,
    publisher: Publisher,
    say: Callable[[str], None],
    trainer: Trainer,
    heartbeat: Heartbeat,
) -> None:
    """One Tune trial per pack; what its workers report is handed to the publisher.

    Raises:
        SweepError: trials are left that have no row.
    """
    if not plan.packs:
        return
    jobs = [PackJob(plan.sweep, settings, pack, resources.cpus, trainer) for pack in plan.packs]
    # Tune would copy the keys of S3 into a runtime environment, which Ray keeps and logs; nodes
    # have keys of their own
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(AWS_SECRETS)
    progress, starts, reasons = SweepProgress(plan), Starts(), Reasons()
    heartbeat.watch(TRAINING, progress.facts, packs=len(jobs), slots=resources.slots)
    store = Store(settings)
    upkeep = Upkeep(store, plan.sweep, settings, progress.line)
    name = f"{plan.sweep}-{time.time_ns()}"  # a name used again would overwrite (ray#35812)
    notes = tempfile.TemporaryDirectory(prefix="grok-tune-", ignore_cleanup_errors=True)
    trainable = tune.with_parameters(PackTrainable, jobs=jobs)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
        param_space={"pack": tune.grid_search(list(range(len(jobs))))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            name=name,
            # nothing resumes from Tune's own notes; in the store, were it full, it would look in
            # them for the error of a pack and find an empty file
            storage_path=notes.name,
            # packs have checkpoints of their own
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            callbacks=[progress, starts, reasons, upkeep, Shown(store, plan, publisher)],
            stop=starts,
            verbose=0,
        ),
    )
    ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        tuner.fit()
    finally:
        if signal.getsignal(signal.SIGINT) is not ctrl_c:  # Tune keeps it for itself
            signal.signal(signal.SIGINT, ctrl_c)
        progress.close()
        upkeep.close()
        notes.cleanup()
    say(progress.line())
    if starts.is_over:
        raise SweepError(
            "no worker of Ray starts any more, though it is tried for minutes: see logs/raylet.err "
            "in Ray's temporary folder on the nodes; then run the same command again to resume"
        )
    left = {c.trial_id for c in plan.todo} - done_ids(store, plan.sweep)
    if left:
        kind = SweepError if reasons.found else SweepStoppedError
        why = "; ".join(sorted(reasons.found)) or "stopped"
        raise kind(
            f"{len(left)} of {len(plan.todo)} trials are not done ({why}); run the same command "
            "again to resume from their last resume points"
        )


class Shown(Watcher):
    """Hands to MLflow what the workers report of their trials."""

    def __init__(self, store: Store, plan: Plan, publisher: Publisher) -> None:
        self.store, self.sweep, self.publisher = store, plan.sweep, publisher
        self.configs = {c.trial_id: c for c in plan.todo}
        self.told_at = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Mapping[str, Any], **info: Any
    ) -> None:
        for news in result["news"]:
            if self.publisher.waiting >= MOST_WAITING:
                continue  # trials that have their row are marked, and sent when all is trained
            if news.row is None:
                send: Send = methodcaller("log_curve", self.configs[news.trial_id], news.curve)
            else:
                send = partial(outbox.send_trial, self.store, self.sweep, news.row, news.curve)
            self.publisher.offer(news.trial_id, send)
        if time.monotonic() - self.told_at > PROGRESS_EVERY_S:
            self.told_at = time.monotonic()
            self.publisher.offer(PROGRESS, partial(outbox.send_progress, self.store, self.sweep))


def forget_resume_points(store: Store, plan: Plan) -> None:
    """Delete what is left of resume points once all is trained.

    A worker deletes that of a trial after its row; one that was killed between the two, or that a
    full store refused, has left it.
    """
    store.delete_all(state_key(c.trial_id) for c in (*plan.done, *plan.todo))
