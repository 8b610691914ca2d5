"""MLflow: the window on a sweep. Experiment = sweep; parent run = the sweep; child run = a trial.

A run is found by its tag before it is made, and metrics are sent again with the same timestamps, so
logging twice changes nothing. Curves are thinned here; the full ones are in the `curves` table.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from grokmodel.config import TrialConfig

MAX_POINTS = 200
"""Points a metric, log-spaced, at most."""
MAX_METRICS, MAX_PARAMS = 1000, 100
"""MLflow's limits a call."""
TRIAL_TAG, KIND_TAG = "trial_id", "grok.kind"
CURVE_METRICS = ("loss", "train_acc", "val_acc", "val_acc_strict", "mem_share", "weight_norm")
OUTCOME_METRICS = (
    "train_step",
    "val_step",
    "val_step_strict",
    "tau_rule",
    "tau_mem",
    "steps_run",
    "wall_s",
    "train_acc_final",
    "val_acc_final",
    "val_acc_strict_final",
    "val_acc_strict_1step",
)


class Tracking:
    """One sweep's experiment. Use `start` on the driver, then `attach` on the workers."""

    def __init__(self, client: MlflowClient, experiment_id: str, parent_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.parent_id = parent_id

    @classmethod
    def start(cls, uri: str, sweep: str, artifacts: str) -> Tracking:
        """The sweep's experiment and parent run, made if they are not there."""
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(sweep)
        if found is not None and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if found is None:
            experiment_id = client.create_experiment(sweep, artifact_location=artifacts)
        else:
            experiment_id = found.experiment_id
        # otherwise MLflow opens the experiment on its pages for language-model traces
        client.set_experiment_tag(
            experiment_id, "mlflow.experimentKind", "custom_model_development"
        )
        self = cls(client, experiment_id, "")
        tags = {KIND_TAG: "sweep"}
        self.parent_id = self._find(KIND_TAG, "sweep") or self._create(sweep, tags)
        return self

    @classmethod
    def attach(cls, uri: str, experiment_id: str, parent_id: str) -> Tracking:
        """The same from a worker: nothing is looked up."""
        return cls(MlflowClient(tracking_uri=uri), experiment_id, parent_id)

    def trial_run(self, config: TrialConfig) -> str:
        """Id of the trial's child run, made if it is not there."""
        found = self._find(TRIAL_TAG, config.trial_id)
        if found:
            return found
        tags = {TRIAL_TAG: config.trial_id, KIND_TAG: "trial", "mlflow.parentRunId": self.parent_id}
        run_id = self._create(config.name, tags)
        params = [Param(name, str(value)) for name, value in config.to_dict().items()]
        for i in range(0, len(params), MAX_PARAMS):
            self.client.log_batch(run_id, params=params[i : i + MAX_PARAMS])
        return run_id

    def log_curve(self, run_id: str, curve: Sequence[Mapping[str, Any]]) -> None:
        """Rows of the `curves` table as metrics over steps."""
        start = self.client.get_run(run_id).info.start_time
        metrics = [
            Metric(name, float(row[name]), start + int(row["step"]), int(row["step"]))
            for row in thinned(curve)
            for name in CURVE_METRICS
            if row[name] is not None and math.isfinite(row[name])
        ]
        for i in range(0, len(metrics), MAX_METRICS):
            self.client.log_batch(run_id, metrics=metrics[i : i + MAX_METRICS])

    def finish_trial(
        self, run_id: str, row: Mapping[str, Any], artifacts: Mapping[str, bytes]
    ) -> None:
        """Phase, steps and files of a finished trial, from its row of the `trials` table."""
        start = self.client.get_run(run_id).info.start_time
        step = int(row["steps_run"])
        metrics = [
            Metric(name, float(row[name]), start + step, step)
            for name in OUTCOME_METRICS
            if row[name] is not None and math.isfinite(row[name])
        ]
        tags = [RunTag("phase", row["phase"]), RunTag("device", row["device"])]
        self.client.log_batch(run_id, metrics=metrics, tags=tags)
        self.log_files(run_id, artifacts)
        self.client.set_terminated(run_id)

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Artifacts from memory, under their relative paths."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self.client.log_artifacts(run_id, folder)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self.client.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags.items()])

    def finish_sweep(self, status: str, summary: str = "") -> None:
        """Close the parent run, FINISHED or FAILED, with a Markdown summary on its page."""
        self.set_tags(self.parent_id, {"mlflow.note.content": summary})
        self.client.set_terminated(self.parent_id, status)

    def reopen_sweep(self) -> None:
        """Mark the parent run as running again, on a resubmission."""
        self.client.update_run(self.parent_id, status="RUNNING")

    def _find(self, tag: str, value: str) -> str | None:
        runs = self.client.search_runs(
            [self.experiment_id], f"tags.`{tag}` = '{value}'", max_results=1,
            order_by=["attributes.start_time ASC"],
        )  # fmt: skip
        return runs[0].info.run_id if runs else None

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        now = int(time.time() * 1000)
        run = self.client.create_run(self.experiment_id, now, dict(tags), name)
        return str(run.info.run_id)


def thinned(curve: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most MAX_POINTS rows: log-spaced, with the first and the last."""
    n = len(curve)
    if n <= MAX_POINTS:
        return list(curve)
    index = np.unique(np.geomspace(1, n, MAX_POINTS).round().astype(int) - 1)
    return [curve[i] for i in index]
