"""The boundary search as an Optuna sampler: the next trial is the point that tells most.

    sampler = BoundarySampler(plane, tolerance=1)
    study = optuna.load_study(study_name="wall", storage=url, sampler=sampler)
    while sampler.next_point(study) is not None:
        trial = study.ask(sampler.distributions)
        study.tell(trial, share_of_seeds_on_one_side(trial.params))

It knows what is in the study and nothing else, so whoever opens the study can resume the search.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from grokmodel.configs import FIELDS
from service.boundary import lattice
from service.boundary.lattice import Belief, Floats, Point
from service.boundary.plane import Axis, Plane

ASKED = (TrialState.RUNNING, TrialState.COMPLETE)
"""A point whose trial failed or was pruned, by whatever hand, is as if it had not been asked."""


class BoundarySampler(BaseSampler):
    """Samples points of a plane from `lattice.next_point`; a trial's value is its share."""

    def __init__(self, plane: Plane, tolerance: int) -> None:
        self.plane, self.tolerance = plane, tolerance
        self.distributions = {axis.field: _distribution(axis) for axis in (plane.x, plane.y)}
        nothing_XY = np.full(plane.shape, np.nan)
        self._last = nothing_XY, lattice.believe(nothing_XY)

    def next_point(self, study: Study) -> Point | None:
        """What the next trial of the study would be; None: the search is at its end."""
        asked = self.points(study, *ASKED)  # read once: a study of many trials is slow to read
        share_XY, belief = self._shares(asked)
        running = [point for point, trial in asked if trial.state == TrialState.RUNNING]
        return lattice.next_point(share_XY, belief, running, self.tolerance)

    def observed(self, study: Study) -> tuple[Floats, Belief]:
        """Shares of the complete trials, NaN elsewhere, and what they say of all points."""
        return self._shares(self.points(study, TrialState.COMPLETE))

    def _shares(self, asked: Iterable[tuple[Point, FrozenTrial]]) -> tuple[Floats, Belief]:
        share_XY = np.full(self.plane.shape, np.nan)
        for point, trial in asked:
            if trial.state == TrialState.COMPLETE:
                share_XY[point] = trial.value
        if not np.array_equal(share_XY, self._last[0], equal_nan=True):  # once per round
            self._last = share_XY, lattice.believe(share_XY)
        return self._last

    def points(self, study: Study, *states: TrialState) -> list[tuple[Point, FrozenTrial]]:
        """Trials in some states and their points, in the order of asking."""
        trials = study.get_trials(deepcopy=False, states=states)
        return [(point, trial) for trial in trials if (point := self.plane.point(trial.params))]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The fields at the next point.

        Raises:
            RuntimeError: there is none, which `next_point` tells beforehand.
        """
        point = self.next_point(study)
        if point is None:
            raise RuntimeError("the boundary search is at its end: no point is left to ask")
        return self.plane.values(point)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        axes = ", ".join(map(str, self.distributions.items()))
        raise ValueError(f"{param_name}: {param_distribution} is no axis of the plane: {axes}")


def _distribution(axis: Axis) -> BaseDistribution:
    low, high = axis.values[0], axis.values[-1]
    if FIELDS[axis.field].type is int:
        return IntDistribution(int(low), int(high), log=axis.log)
    return FloatDistribution(low, high, log=axis.log)
