"""An experiment of MLflow, its runs, and the calls that fill them.

A run is found by its tag before it is made, and one made twice is taken back.
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
from typing import Any, Self, TypeVar

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric, Param, Run, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy.exc import SQLAlchemyError

from grokmodel.errors import UserError
from service.reachable import check_reachable
from service.retry import retry
from service.settings import without_password
from service.text import reason
from service.tracking.artifacts import correct, goes_along, is_elsewhere

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
KIND_TAG = "grok.kind"

T = TypeVar("T")


class TrackingError(UserError, RuntimeError):
    """MLflow cannot be reached. Names its URI, what it said and what would help."""


def set_up_mlflow() -> None:
    """Make MLflow's own waiting short, but for what the user has set."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # that a new database is made
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


class Experiment:
    """One sweep's experiment and its parent run: see `start`."""

    def __init__(self, uri: str, experiment_id: str = "", parent_id: str = "") -> None:
        set_up_mlflow()
        self.uri = uri
        self.experiment_id = experiment_id
        self.parent_id = parent_id
        self.is_new = False
        """Whether the experiment was made here: a run that is asked for is hardly there yet."""

    @classmethod
    def start(cls, uri: str, sweep: str, artifacts: str, patience_s: float = PATIENCE_S) -> Self:
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

    def log_files(self, run: RunInfo, files: Mapping[str, bytes]) -> None:
        """Artifacts from memory, under their relative paths."""
        if not files:
            return
        # the client's own call would load the whole run to find out where its files are
        place = get_artifact_repository(run.artifact_uri, tracking_uri=self.uri)
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            place.log_artifacts(folder)

    def log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """In as few calls as MLflow takes; tags with the last, as they may say what is there."""
        chunks = [metrics[i : i + METRICS_A_CALL] for i in range(0, len(metrics), METRICS_A_CALL)]
        params_left = [Param(name, str(value)) for name, value in (params or {}).items()]
        tags_left = [RunTag(name, value) for name, value in (tags or {}).items()]
        for chunk in chunks[:-1]:
            self.client.log_batch(run_id, list(chunk), params_left)
            params_left = []
        last = list(chunks[-1]) if chunks else []
        if last or params_left or tags_left:
            self.client.log_batch(run_id, last, params_left, tags_left)

    def log_inputs(self, run: Run, inputs: Sequence[DatasetInput]) -> None:
        """Data sets that a run does not have yet."""
        known = {each.dataset.digest for each in run.inputs.dataset_inputs} if run.inputs else set()
        new = [each for each in inputs if each.dataset.digest not in known]
        if new:
            self.client.log_inputs(run.info.run_id, new)

    def _find_or_make(self, sweep: str, artifacts: str) -> None:
        check_reachable(self.uri)  # MLflow itself would try for minutes
        found = self.client.get_experiment_by_name(sweep)
        if found is None:
            self.experiment_id = self.client.create_experiment(sweep, artifact_location=artifacts)
            self.is_new = True
        else:
            if is_elsewhere(found.artifact_location, artifacts):
                self._bring_here(sweep, found.artifact_location, artifacts)
            self.experiment_id = found.experiment_id
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(self.experiment_id)
        # otherwise MLflow opens the experiment on its pages for language-model traces
        kind = "custom_model_development"
        self.client.set_experiment_tag(self.experiment_id, "mlflow.experimentKind", kind)
        self.parent_id = self.run_of(KIND_TAG, "sweep", sweep, {}).info.run_id

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

    def run_of(
        self, tag: str, value: str, name: str, tags: Mapping[str, str], is_new: bool = False
    ) -> Run:
        """The one run with a tag.

        Args:
            is_new: it is there only if another process has just made it, so it is made at once.
        """
        found = [] if is_new else self._find(tag, value)
        if not found:
            made = self._create(name, {tag: value, **tags})
            # a request that was given up, or another process, may have made one too
            found = self._find(tag, value) or [made]
        for extra in found[1:]:
            self.client.delete_run(extra.info.run_id)
        return found[0]

    def _find(self, tag: str, value: str) -> list[Run]:
        """The oldest first, in an order on which all processes agree."""
        runs = self.client.search_runs([self.experiment_id], f"tags.`{tag}` = '{value}'")
        return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))

    def _create(self, name: str, tags: Mapping[str, str]) -> Run:
        now = int(time.time() * 1000)
        return self.client.create_run(self.experiment_id, now, dict(tags), name)
