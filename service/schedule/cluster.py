"""The Ray cluster that a sweep runs on: joined, or started on this machine; what it has."""

from __future__ import annotations

import logging
import os
from functools import partial

import ray

from grokmodel.errors import UserError
from service.reachable import check_reachable
from service.retry import retry
from service.schedule.plan import Resources
from service.settings import Settings
from service.text import reason
from service.tracking.client import set_up_mlflow

log = logging.getLogger("grok")

WORKER_ENV = {
    # keep freed memory in the process: a training step allocates the same sizes again and again
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}
QUIET_LOGGERS = (
    "ray._private.authentication",  # that a local cluster has a token is as it should be
    "ray.tune.analysis.experiment_analysis",  # Tune's own result files are switched off
    "ray.tune.tune",  # its hint to restore: a sweep is resumed by running it again
)
QUIET_ENV = {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
RARELY_ENV = {"TUNE_GLOBAL_CHECKPOINT_S": "3600"}
"""Tune notes its own state for a resumption of which we make no use; each note costs a write."""
START_ATTEMPTS = 3
TOO_SLOW = "timed out during startup"
"""What Ray says when a node of its own was not up in time."""


class ClusterError(UserError, RuntimeError):
    """The Ray cluster of the environment cannot be joined. Names its address."""


def start_ray() -> None:
    """Join the cluster of the environment (`ray job submit`, RAY_ADDRESS), or start a local one.

    Raises:
        ClusterError: nothing lets us in at RAY_ADDRESS.
    """
    if ray.is_initialized():
        return
    os.environ.update(QUIET_ENV | RARELY_ENV)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address is not None:
            check_reachable(address)
        _init_ray(address)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        if address is None:
            raise
        raise ClusterError(
            f"cannot join a Ray cluster at RAY_ADDRESS = {address!r}: {reason(error)}; need the "
            "address of one that runs, such as HOST:6379, and its token (see `grok doctor`)"
        ) from error


def _init_ray(address: str | None) -> None:
    """`ray.init`; again if a local node was too slow, to which Ray gives half a minute."""
    env = {"env_vars": WORKER_ENV | set_up_mlflow()}
    start = partial(
        ray.init,
        # not whatever cluster happens to run on this machine
        address="local" if address is None else None,
        runtime_env=env,
        logging_level=logging.WARNING,
        log_to_driver=True,
        include_dashboard=False if address is None else None,
    )
    try:
        retry(start, _is_too_slow, first_s=0.0, last_s=0.0, tries=START_ATTEMPTS)
    except Exception as error:
        if not _is_too_slow(error):
            raise
        raise ClusterError(
            f"Ray did not start on this machine in {START_ATTEMPTS} attempts of half a minute "
            f"({reason(error)}); need a machine that is less busy, or RAY_ADDRESS of a cluster "
            "that runs"
        ) from error


def _is_too_slow(error: Exception) -> bool:
    """Ray raises nothing more special."""
    return TOO_SLOW in str(error)


def cluster_resources(gpus: int | None = None) -> Resources:
    """What the cluster has now, or what it is to come up with."""
    return Resources.of([n["Resources"] for n in ray.nodes() if n["Alive"]], gpus)


def warn_unless_shared(settings: Settings) -> None:
    """Say so if the nodes of the cluster may not have the same folder."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len({node["NodeManagerAddress"] for node in nodes}) > 1 and "s3://" not in settings.store:
        log.warning(
            "the cluster has %d nodes and the store %s is a folder: every node must mount it; "
            "otherwise use --store s3://bucket/prefix", len(nodes), settings.store,
        )  # fmt: skip
