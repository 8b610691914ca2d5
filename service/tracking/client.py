"""MLflow: the window on a sweep. Experiment = sweep; parent run = the sweep; child run = a trial.

A run is found by its tag before it is made, one made twice is taken back, and metrics are sent
again with the same timestamps, so logging twice changes nothing. Curves are thinned; the full ones
are in the `curves` table.

Every call may take long or raise. Only `Tracking.start` and `open_sweep` are for those who can
wait; the others are made by a `Publisher`.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from grokmodel.errors import UserError
from grokmodel.image.config import TrialConfig
from service.settings import without_password
from service.tables.rows import config_of, thinned
from service.tracking.metrics import curve_metrics, outcome_metrics

METRICS_A_CALL = 800
"""Below MLflow's limit of 1,000 metrics, params and tags together, with room for the latter."""
ENVIRONMENT = {
    # seconds after which a server counts as hanging; more than a slow one takes, because a request
    # that is given up may still be carried out
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # trying again is the publisher's business
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines a trial
}
"""How MLflow is set up, where the user has not done so."""
PATIENCE_S = 10.0
"""How long a sweep tries to reach its server before it says that there is none."""
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
KNOCK_S = 5.0
UNREACHABLE = (MlflowException, OSError, SQLAlchemyError)
"""What MLflow raises when its server or database does not do what it should."""
DENIED = re.compile("error code 40[13]|password authentication failed")
"""Waiting will not help."""
TRIAL_TAG, KIND_TAG = "trial_id", "grok.kind"

T = TypeVar("T")


class TrackingError(UserError, RuntimeError):
    """MLflow cannot be reached. Names its URI, what it said and what would help."""


def set_up_mlflow() -> dict[str, str]:
    """Make MLflow's own waiting short, but for what the user has set; returns what holds now."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # that a new database is made
    return {name: os.environ.setdefault(name, value) for name, value in ENVIRONMENT.items()}


class Tracking:
    """One sweep's experiment: see `start`."""

    def __init__(self, uri: str, experiment_id: str = "", parent_id: str = "") -> None:
        set_up_mlflow()
        self.uri = uri
        self.experiment_id = experiment_id
        self.parent_id = parent_id
        self._watched: dict[str, tuple[RunInfo, int]] = {}
        """Runs of trials in training, and the last step of their curve that was sent."""

    @classmethod
    def start(
        cls, uri: str, sweep: str, artifacts: str, patience_s: float = PATIENCE_S
    ) -> Tracking:
        """The sweep's experiment and parent run, made if they are not there.

        Raises:
            TrackingError: MLflow does not answer, even when tried for `patience_s`.
        """
        self = cls(uri)
        self.patiently(lambda: self._find_or_make(sweep, artifacts), patience_s)
        return self

    @cached_property
    def client(self) -> MlflowClient:
        # made when it is first needed: a client of a database connects at once
        return MlflowClient(tracking_uri=self.uri)

    def patiently(self, call: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        """What the call returns, tried again for a while.

        Raises:
            TrackingError: it still fails.
        """
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return call()
            except UNREACHABLE as error:
                if DENIED.search(str(error)):
                    raise TrackingError(
                        f"MLflow at {without_password(self.uri)} refuses: {reason(error)}. Set "
                        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user who may "
                        "write"
                    ) from error
                if time.monotonic() >= deadline:
                    raise TrackingError(
                        f"MLflow at {without_password(self.uri)} does not answer: {reason(error)}. "
                        "Start its server, or set MLFLOW_TRACKING_URI to one that runs"
                    ) from error
                time.sleep(min(1.0, patience_s))

    def open_sweep(self, tags: Mapping[str, str]) -> None:
        """Mark the parent run as running, and say on what.

        Raises:
            TrackingError: MLflow does not answer.
        """

        def call() -> None:
            self.client.update_run(self.parent_id, status="RUNNING")
            self._log(self.parent_id, tags=tags)

        self.patiently(call)

    def log_sweep(self, files: Mapping[str, bytes], summary: str, status: str | None) -> None:
        """Files of the sweep, a Markdown summary on its page and, if it has ended, how."""
        self.log_files(self.parent_id, files)
        self._log(self.parent_id, tags={"mlflow.note.content": summary})
        if status is not None:
            self.end_sweep(status)

    def end_sweep(self, status: str) -> None:
        """How the sweep has ended: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.parent_id, status)

    def trial_run(self, config: TrialConfig) -> RunInfo:
        """The trial's child run, made if it is not there."""
        tags = {KIND_TAG: "trial", "mlflow.parentRunId": self.parent_id}
        return self._run(TRIAL_TAG, config.trial_id, config.name, tags)

    def log_curve(self, config: TrialConfig, curve: Sequence[Mapping[str, Any]]) -> None:
        """What is new in the curve of a trial in training, for those who watch."""
        run, sent = self._watched.get(config.trial_id, (None, -1))
        if run is None:
            run = self.trial_run(config)
            self._log(run.run_id, params=config.to_dict())
        new = [row for row in thinned(curve) if row["step"] > sent]
        self._log(run.run_id, curve_metrics(new, run.start_time))
        self._watched[config.trial_id] = (run, int(new[-1]["step"]) if new else sent)

    def log_trial(
        self,
        row: Mapping[str, Any],
        curve: Sequence[Mapping[str, Any]],
        files: Mapping[str, bytes],
    ) -> None:
        """All of a finished trial: params, curve, outcome, files. Whatever is there stays."""
        config = config_of(row)
        self._watched.pop(config.trial_id, None)
        run = self.trial_run(config)
        metrics = curve_metrics(thinned(curve), run.start_time)
        metrics += outcome_metrics(row, run.start_time)
        tags = {"phase": row["phase"], "device": row["device"]}
        self._log(run.run_id, metrics, config.to_dict(), tags)
        self.log_files(run.run_id, files)
        if run.status != "FINISHED":
            self.client.set_terminated(run.run_id)

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Artifacts from memory, under their relative paths."""
        if not files:
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self.client.log_artifacts(run_id, folder)

    def _log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """In as few calls as MLflow takes."""
        rest = {
            "params": [Param(name, str(value)) for name, value in (params or {}).items()],
            "tags": [RunTag(name, value) for name, value in (tags or {}).items()],
        }
        for i in range(0, max(len(metrics), 1), METRICS_A_CALL):
            part = list(metrics[i : i + METRICS_A_CALL])
            if part or any(rest.values()):
                self.client.log_batch(run_id, metrics=part, **rest)
            rest = {}

    def _find_or_make(self, sweep: str, artifacts: str) -> None:
        knock(self.uri)
        found = self.client.get_experiment_by_name(sweep)
        if found is None:
            self.experiment_id = self.client.create_experiment(sweep, artifact_location=artifacts)
        else:
            self.experiment_id = found.experiment_id
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(self.experiment_id)
        # otherwise MLflow opens the experiment on its pages for language-model traces
        kind = "custom_model_development"
        self.client.set_experiment_tag(self.experiment_id, "mlflow.experimentKind", kind)
        self.parent_id = self._run(KIND_TAG, "sweep", sweep, {}).run_id

    def _run(self, tag: str, value: str, name: str, tags: Mapping[str, str]) -> RunInfo:
        """The one run with a tag."""
        found = self._find(tag, value)
        if not found:
            made = self._create(name, {tag: value, **tags})
            # a request that was given up, or another process, may have made one too
            found = self._find(tag, value) or [made]
        for extra in found[1:]:
            self.client.delete_run(extra.run_id)
        return found[0]

    def _find(self, tag: str, value: str) -> list[RunInfo]:
        """The oldest first, in an order on which all processes agree."""
        runs = self.client.search_runs([self.experiment_id], f"tags.`{tag}` = '{value}'")
        return sorted((run.info for run in runs), key=lambda run: (run.start_time, run.run_id))

    def _create(self, name: str, tags: Mapping[str, str]) -> RunInfo:
        now = int(time.time() * 1000)
        return self.client.create_run(self.experiment_id, now, dict(tags), name).info


def knock(uri: str) -> None:
    """Connect to a database's server and leave; MLflow itself would try for minutes.

    Raises:
        OSError: it takes no connections.
    """
    parts = urlsplit(uri)
    usual = DATABASE_PORTS.get(parts.scheme.split("+")[0])
    if usual and parts.hostname:
        socket.create_connection((parts.hostname, parts.port or usual), KNOCK_S).close()


def reason(error: Exception) -> str:
    """What an error says, in one line and without passwords: `Connection refused` rather than the
    five exceptions that are made of it."""
    root: BaseException = error
    while cause := root.__cause__ or root.__context__:
        root = cause
    said = root if isinstance(root, OSError) and str(root) else error
    lines = str(said).strip().splitlines() or [type(error).__name__]
    return without_password(lines[0])[:300]
