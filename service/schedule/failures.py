"""Packs that fail: why, and whether workers start at all. A node that is lost comes back, a Python
that is not there does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.exceptions import ActorUnschedulableError
from ray.tune import Stopper
from ray.tune.experiment import Trial

from service.schedule.progress import Watcher
from service.settings import without_password
from service.text import shortened

UNSTARTABLE = str(ActorUnschedulableError(""))
"""What Ray says of a worker that ended before it was up, in each of six attempts of a minute."""
MOST_IN_A_ROW = 2
"""One may have met a node that is broken."""


class Starts(Watcher, Stopper):  # type: ignore[misc]
    """Ends a sweep none of whose workers starts; Tune would try each of its packs for an hour."""

    def __init__(self) -> None:
        self.failed_in_a_row = 0
        self.is_over = False

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.failed_in_a_row = 0

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.failed_in_a_row += UNSTARTABLE in _last_error(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        is_any_running = any(trial.status == Trial.RUNNING for trial in trials)
        self.is_over = self.failed_in_a_row >= MOST_IN_A_ROW and not is_any_running

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.is_over


class Reasons(Watcher):
    """Why packs failed for good, a line each; what a pack got over that was tried again is none."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Mapping[str, Any], **info: Any
    ) -> None:
        if "error" in result:
            self._add(result["error"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._add(_last_error(trial).splitlines()[-1])

    def _add(self, reason: str) -> None:
        self.found.add(shortened(without_password(reason)))


def _last_error(trial: Any) -> str:
    """What a pack raised last; Tune keeps it in a file only, one error after another."""
    return Path(trial.error_file).read_text().rpartition("\nFailure #")[2].strip()
