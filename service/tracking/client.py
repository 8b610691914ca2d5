"""MLflow: the window on a sweep. Experiment = sweep; parent run = the sweep; child run = a trial.

A run is found by its tag before it is made, one made twice is taken back (`experiment`), and
metrics are sent again with the same timestamps, so logging twice changes nothing. Curves are
thinned; the full ones are in the `curves` table. What is there already is not sent where that is
known without asking.

Every call may take long or raise. Only `Tracking.start` and `open_sweep` are for those who can
wait; the others are made by a `Publisher`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from mlflow.entities import Run, RunInfo

from grokmodel.configs import config_of
from grokmodel.core.config import Config
from grokmodel.core.rows import thinned
from service.tables.names import axes_of, trial_name
from service.tracking.experiment import KIND_TAG, Experiment, TrackingError
from service.tracking.inputs import bank_inputs, source_tags
from service.tracking.metrics import curve_metrics, outcome_metrics, progress_metrics
from service.tracking.view import VIEW_TAG, view_state

__all__ = ["Tracking", "TrackingError"]
TRIAL_TAG = "trial_id"
CURVE_TAG = "grok.curve"
"""On a run that has the whole curve of a trial, and its files: which (`run_id`)."""


class Tracking(Experiment):
    """What MLflow is told of a sweep: see `start`."""

    def __init__(self, uri: str, experiment_id: str = "", parent_id: str = "") -> None:
        super().__init__(uri, experiment_id, parent_id)
        self.axes: Collection[str] = ()
        """Fields that the sweep varies: runs are named by them."""
        self.source: dict[str, str] = {}
        """Tags that say from what program and commit the trials come."""
        self._asked: set[str] = set()
        """Trials for which a run was asked for here."""
        self._watched: dict[str, tuple[RunInfo, set[int]]] = {}
        """Runs of trials in training, and the steps of their curve that were sent."""

    def open_sweep(self, facts: Mapping[str, str]) -> None:
        """Mark the parent run as running, and say on what.

        Raises:
            TrackingError: MLflow does not answer.
        """
        self.source = source_tags(facts)

        def call() -> None:
            # another driver that began at the same moment may have taken ours back for its own
            for parent in self._find(KIND_TAG, "sweep")[:1]:
                self.parent_id = parent.info.run_id
            self.client.update_run(self.parent_id, status="RUNNING")
            self.log(self.parent_id, tags={**facts, **self.source})

        self.retry(call)

    def log_sweep(
        self,
        files: Mapping[str, bytes],
        summary: str,
        configs: Sequence[Mapping[str, Any]],
        phases: Mapping[str, int],
        status: str | None,
    ) -> None:
        """Files of the sweep, what is known of it as a whole and, if it has ended, how.

        Args:
            summary: Markdown.
            configs: of all its trials.
            phases: how many of them are done, by phase.
        """
        parent, axes = self.client.get_run(self.parent_id), axes_of(configs)
        self.client.set_experiment_tag(
            self.experiment_id, VIEW_TAG, view_state(axes, parent.info.start_time)
        )
        self.log_files(parent.info, files)
        # MLflow takes no other value of a param: of an axis that grows, the tag has all values
        new = {name: text for name, text in axes.items() if name not in parent.data.params}
        tags = {f"axis.{name}": text for name, text in axes.items()}
        tags["mlflow.note.content"] = summary
        tags |= {name: text for name, text in self.source.items() if name not in parent.data.tags}
        progress = (phases, len(configs), parent.info.start_time)
        self.log(self.parent_id, progress_metrics(*progress), new, tags)
        banks = {config.get("images_hash"): bank_inputs(config) for config in configs}
        self.log_inputs(parent, [each for inputs in banks.values() for each in inputs])
        if status is not None:
            self.end_sweep(status)

    def log_progress(self, phases: Mapping[str, int], total: int) -> None:
        """How far the sweep is: trials that are done, by phase, of how many."""
        start_ms = self.client.get_run(self.parent_id).info.start_time
        self.log(self.parent_id, progress_metrics(phases, total, start_ms))

    def end_sweep(self, status: str) -> None:
        """How the sweep has ended: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.parent_id, status)

    def trial_run(self, config: Config) -> Run:
        """The trial's child run, made if it is not there."""
        tags = {KIND_TAG: "trial", "mlflow.parentRunId": self.parent_id, **self.source}
        is_new = self.is_new and config.trial_id not in self._asked
        self._asked.add(config.trial_id)
        name = trial_name(config, self.axes)
        run = self.run_of(TRIAL_TAG, config.trial_id, name, tags, is_new)
        self.log_inputs(run, bank_inputs(config.to_dict()))
        return run

    def log_curve(self, config: Config, curve: Sequence[Mapping[str, Any]]) -> None:
        """What is new in the curve of a trial in training, for those who watch."""
        params = None
        run, sent = self._watched.get(config.trial_id, (None, set()))
        if run is None:
            run, params = self.trial_run(config).info, config.to_dict()
        new = [row for row in thinned(curve) if row["step"] > max(sent, default=-1)]
        self.log(run.run_id, curve_metrics(new, run.start_time), params)
        self._watched[config.trial_id] = (run, sent | {int(row["step"]) for row in new})

    def log_trial(
        self,
        row: Mapping[str, Any],
        curve: Sequence[Mapping[str, Any]],
        files: Callable[[], Mapping[str, bytes]],
    ) -> None:
        """All of a finished trial: params, curve, outcome, files. Whatever is there stays.

        Args:
            row: of `trials`, with what is known of its analyses (`tables/headlines.py`).
            files: reads them, if they are not there.
        """
        config = config_of(row)
        watched, sent = self._watched.pop(config.trial_id, (None, set()))
        run = self.trial_run(config)
        info, rest = run.info, thinned(curve)
        if run.data.tags.get(CURVE_TAG) == row["run_id"]:
            rest = []
        else:
            self.log_files(info, files())
            if watched is not None and watched.run_id == info.run_id:
                rest = [point for point in rest if int(point["step"]) not in sent]
        metrics = curve_metrics(rest, info.start_time) + outcome_metrics(row, info.start_time)
        tags = {"phase": row["phase"], "device": row["device"], CURVE_TAG: row["run_id"]}
        self.log(info.run_id, metrics, config.to_dict(), tags)
        if info.status != "FINISHED":
            self.client.set_terminated(info.run_id)
