"""The Ray cluster that a sweep runs on: joined, or started on this machine; what it has."""

from __future__ import annotations

import importlib
import logging
import os
import shlex
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from grokmodel.errors import UserError
from service.reachable import check_reachable
from service.retry import retry
from service.schedule.plan import Resources
from service.settings import Settings
from service.text import reason

log = logging.getLogger("grok")

QUIET_LOGGERS = (
    "ray._private.authentication",  # that a local cluster has a token is as it should be
    "ray.tune.analysis.experiment_analysis",  # Tune's own result files are switched off
    "ray.tune.utils.util",  # that one of its operations took a second, on a machine that is busy
    "ray.tune.tune",  # its hint to restore: a sweep is resumed by running it again
)
QUIET_ENV = {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
RARELY_ENV = {"TUNE_GLOBAL_CHECKPOINT_S": "3600"}
"""Tune notes its own state for a resumption of which we make no use; each note costs a write."""
START_ATTEMPTS = 3
TOO_SLOW = "timed out during startup"
"""What Ray says when a node of its own was not up in time."""
SHARED_MEMORY = Path("/dev/shm")
LOCAL_WORKER_S, WORKER_S = 120.0, 600.0
"""Seconds for the first worker to start, here or on a cluster, which may have to set up its
environment. Ray itself gives up after six minutes, unless that takes longer."""


class ClusterError(UserError, RuntimeError):
    """No cluster to train on: the one of RAY_ADDRESS cannot be joined, or none started here, or its
    workers do not start. Names what was wrong and what would help."""


def start_ray() -> None:
    """Join the cluster of the environment (`ray job submit`, RAY_ADDRESS), or start a local one.

    Raises:
        ClusterError: nothing lets us in at RAY_ADDRESS, Ray does not start here, or a worker on no
            node; Tune would take each such worker for a lost node, and start it again for an hour.
    """
    if ray.is_initialized():
        return
    os.environ.update(QUIET_ENV | RARELY_ENV)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    address = os.environ.get("RAY_ADDRESS") or None
    if address is None:
        _start_here()
        _prove_a_worker(LOCAL_WORKER_S)
        return
    try:
        check_reachable(address)
        _init_ray(address)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise ClusterError(
            f"cannot join a Ray cluster at RAY_ADDRESS = {address!r}: {reason(error)}; need the "
            "address of one that runs, such as HOST:6379, and its token (see `grok doctor`)"
        ) from error
    _prove_a_worker(WORKER_S)


def _start_here() -> None:
    """A Ray of our own on this machine."""
    _check_machine()
    try:
        _init_ray(None)
    except ClusterError:
        raise
    except Exception as error:  # Ray raises no more special one
        raise ClusterError(
            f"Ray does not start on this machine: {reason(error)}; need to be able to write to "
            "HOME and to RAY_TMPDIR, TMPDIR or else /tmp, of a short path; or RAY_ADDRESS of a "
            "cluster that runs"
        ) from error


def _check_machine() -> None:
    """What Ray itself finds out after half a minute or more, or gives no good reason for."""
    Path.home()  # its own error, of which commands say what would help
    for path in (sys.executable, ray.__file__):
        # it quotes spaces in the command lines of its servers, but neither of these
        if set("'\\") & set(path):
            raise ClusterError(
                f"Ray cannot run from {path}: need a path without ' and \\; move the checkout"
            )
    if SHARED_MEMORY.exists() and not os.access(SHARED_MEMORY, os.W_OK):
        raise ClusterError(
            f"Ray does not start on this machine: need to be able to write to {SHARED_MEMORY}, "
            "where its processes share objects; or RAY_ADDRESS of a cluster that runs"
        )


def _init_ray(address: str | None) -> None:
    """`ray.init`; again if a local node was too slow, to which Ray gives half a minute."""
    # workers that Ray has started already have no other environment, and serve those who want none
    env: dict[str, Any] = {}
    # Ray gives it to a shell as it is, where a space ends it
    quoted = shlex.quote(sys.executable)
    if address is None and quoted != sys.executable:
        env["py_executable"] = quoted
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
            "that runs; more is in logs/ of Ray's temporary folder, such as "
            "/tmp/ray/session_latest/logs/raylet.err"
        ) from error


def _is_too_slow(error: Exception) -> bool:
    """Ray raises nothing more special."""
    return TOO_SLOW in str(error)


def _prove_a_worker(limit_s: float) -> None:
    """On one node at least a worker starts, and finds our modules.

    Raises:
        ClusterError: within the time none does; Ray is left.
    """

    def look() -> None:  # defined here, as Ray would import this module with MLflow there
        importlib.import_module("service.worker")

    # a head without CPUs trains nothing, and other nodes may be to come up
    nodes = [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    waiting = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(n, soft=False)).remote()
        for n in nodes
    ]
    said, deadline = f"nothing within {limit_s:.0f} s", time.monotonic() + limit_s
    while waiting:
        ready, waiting = ray.wait(waiting, timeout=max(deadline - time.monotonic(), 0.0))
        if not ready:
            break
        try:
            ray.get(ready)
            return
        except ray.exceptions.RayError as error:
            said = reason(getattr(error, "cause", error))
    if nodes:
        ray.shutdown()
        raise ClusterError(
            f"no worker of Ray starts on any of {len(nodes)} nodes: {said}; need there the Python "
            "and the packages of here, and a path of Python without spaces; more is in logs/ of "
            "Ray's temporary folder"
        )


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
