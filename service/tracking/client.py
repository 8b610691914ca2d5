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
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from grokmodel.errors import UserError
from grokmodel.image.config import TrialConfig, config_of
from service.reachable import check_reachable
from service.retry import retry
from service.settings import without_password
from service.tables.names import trial_name
from service.tables.rows import thinned
from service.text import reason
from service.tracking.artifacts import correct, goes_along, is_elsewhere
from service.tracking.metrics import curve_metrics, outcome_metrics

METRICS_A_CALL = 800
"""Below MLflow's limit of 1,000 metrics, params and tags together, with room for the latter."""
ENVIRONMENT = {
    # seconds after which a server counts as hanging; more than a slow one takes, because a request
    # that is given up may still be carried out
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # trying again is the publisher's business
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines per trial
}
"""How MLflow is set up, where the user has not done so."""
PATIENCE_S = 10.0
"""How long a sweep tries to reach its server before it says that there is none."""
RETRY_S = 1.0
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
        self.axes: tuple[str, ...] = ()
        """Fields that the sweep varies: runs are named by them."""
        self._watched: dict[str, tuple[RunInfo, int]] = {}
        """Runs of trials in training, and the last step of their curve that was sent."""

    @classmethod
    def start(
        cls, uri: str, sweep: str, artifacts: str, patience_s: float = PATIENCE_S
    ) -> Tracking:
        """The sweep's experiment and parent run, made if they are not there.

        Raises:
            TrackingError: MLflow does not answer, even when tried for `patience_s`, or keeps the
                files of a sweep of that name in another store.
        """
        self = cls(uri)
        self.retry(lambda: self._find_or_make(sweep, artifacts), patience_s)
        return self

    @cached_property
    def client(self) -> MlflowClient:
        # made when it is first needed: a client of a database connects at once
        return MlflowClient(tracking_uri=self.uri)

    def retry(self, call: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        """What the call returns, tried again for a while.

        Raises:
            TrackingError: it still fails.
        """

        def passes(error: Exception) -> bool:
            return isinstance(error, UNREACHABLE) and not DENIED.search(str(error))

        try:
            return retry(call, passes, patience_s, first_s=RETRY_S, last_s=RETRY_S)
        except UNREACHABLE as error:
            server = f"MLflow at {without_password(self.uri)}"
            if DENIED.search(str(error)):
                raise TrackingError(
                    f"{server} refuses: {reason(error)}. Set MLFLOW_TRACKING_USERNAME and "
                    "MLFLOW_TRACKING_PASSWORD to a user who may write"
                ) from error
            raise TrackingError(
                f"{server} does not answer: {reason(error)}. Start its server, or set "
                "MLFLOW_TRACKING_URI to one that runs"
            ) from error

    def open_sweep(self, tags: Mapping[str, str]) -> None:
        """Mark the parent run as running, and say on what.

        Raises:
            TrackingError: MLflow does not answer.
        """

        def call() -> None:
            self.client.update_run(self.parent_id, status="RUNNING")
            self._log(self.parent_id, tags=tags)

        self.retry(call)

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
        return self._run(TRIAL_TAG, config.trial_id, trial_name(config, self.axes), tags)

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
        check_reachable(self.uri)  # MLflow itself would try for minutes
        found = self.client.get_experiment_by_name(sweep)
        if found is None:
            self.experiment_id = self.client.create_experiment(sweep, artifact_location=artifacts)
        else:
            if is_elsewhere(found.artifact_location, artifacts):
                self._bring_here(sweep, found.artifact_location, artifacts)
            self.experiment_id = found.experiment_id
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(self.experiment_id)
        # otherwise MLflow opens the experiment on its pages for language-model traces
        kind = "custom_model_development"
        self.client.set_experiment_tag(self.experiment_id, "mlflow.experimentKind", kind)
        self.parent_id = self._run(KIND_TAG, "sweep", sweep, {}).run_id

    def _bring_here(self, sweep: str, location: str, artifacts: str) -> None:
        """Files of a sweep in a store that was copied or moved go where it is now.

        Raises:
            TrackingError: the sweep may be another store's.
        """
        if not goes_along(self.uri, artifacts):
            raise TrackingError(
                f"MLflow's experiment {sweep!r} keeps its files in {location}, of another store or "
                f"of this one before it was moved, not in {artifacts}: take another --name, or "
                f"rename the experiment in MLflow and grok publish --all --sweep {sweep}"
            )
        correct(self.uri, artifacts, [sweep])

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
