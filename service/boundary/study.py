"""The Optuna study of a search for a boundary: which points were asked, and what was told of them.

The truth is the `trials` table. The study says in which order points were asked and can be looked
at with optuna-dashboard; a study that is lost, or behind, is brought up to the table by `sync`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from grokmodel.errors import ConfigError
from grokmodel.image.config import FIELDS
from service.boundary.lattice import Point
from service.boundary.plane import Axis, Plane
from service.settings import Settings, SettingsError, sqlite_file, sqlite_uri, without_password
from service.text import one_line

LIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
"""A point whose trial failed or was pruned, by whatever hand, is as if it had not been asked."""


def storage_url(settings: Settings) -> str:
    """Where the study is kept: as the settings say, or SQLite in a store that is a folder.

    Raises:
        SettingsError: the store is no folder, and nothing is given.
    """
    if settings.optuna:
        return settings.optuna
    if settings.store.startswith("s3://"):
        raise SettingsError(
            f"store = {settings.store!r} but GROK_OPTUNA is not set: with an S3 store name the "
            "database of the Optuna study, such as postgresql://user@host/optuna"
        )
    return sqlite_uri(f"{settings.store}/optuna.db")


class BoundaryStudy:
    """One search in an Optuna storage. Its trials are points of the plane, each at most once."""

    def __init__(self, name: str, plane: Plane, url: str) -> None:
        """Open the study, or make it.

        Raises:
            SettingsError: the storage cannot be used.
            ConfigError: the name belongs to a search in another plane.
        """
        self.plane = plane
        self.url = url
        self.distributions = {axis.field: _distribution(axis) for axis in (plane.x, plane.y)}
        logging.getLogger("optuna").setLevel(logging.WARNING)
        with self._storage_errors():
            if file := sqlite_file(url):
                file.parent.mkdir(parents=True, exist_ok=True)
            self.study = optuna.create_study(
                study_name=name, storage=url, direction="maximize", load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(seed=0),  # points are given, never drawn
            )  # fmt: skip
            self._claim(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.set_metric_names([plane.what])
            self._start_waiting()

    def sync(self, phases: Mapping[str, str]) -> None:
        """Bring the study up to the table: tell what it waits for, add what it has never heard of.

        Args:
            phases: trial id -> phase, of all trials that are done.
        """
        with self._storage_errors():
            known = {_point(trial) for trial in self._trials()}
            for trial in self._trials(TrialState.RUNNING):
                found = self.plane.phases_at(_point(trial), phases)
                if found:
                    # of the driver that asked, which may be gone, only the number is left
                    running = Trial(self.study, trial._trial_id)
                    running.set_user_attr("phases", found)
                    self.study.tell(trial.number, self.plane.share(found), skip_if_finished=True)
            for point in np.ndindex(self.plane.shape):
                found = self.plane.phases_at(point, phases) if point not in known else []
                if found:
                    self._add(point, found)

    def ask(self, points: list[Point]) -> None:
        """Enter points as running trials; those that were asked before are left out."""
        with self._storage_errors():
            known = {_point(trial) for trial in self._trials()}
            for point in points:
                if point not in known:
                    self.study.enqueue_trial(self.plane.values(point), self._facts(point))
            self._start_waiting()

    def running(self) -> list[Point]:
        """Points that were asked and of which nothing is told yet, in the order of asking."""
        with self._storage_errors():
            return [_point(trial) for trial in self._trials(TrialState.RUNNING)]

    def asked(self) -> list[Point]:
        """All points of the study, in the order of asking."""
        with self._storage_errors():
            return [_point(trial) for trial in self._trials()]

    def _claim(self, name: str) -> None:
        """Write down whose study this is, or find that it is another's."""
        mine, theirs = self.plane.identity(), self.study.user_attrs.get("plane")
        if theirs is not None:
            odd = [key for key in mine if theirs.get(key) != mine[key]]
            if odd:
                named = ", ".join([key for key in odd if key != "trials"] or odd)
                words = f"another name: it is a search already, which differs in {named}"
                raise ConfigError("--name", name, words)
        self.study.set_user_attr("plane", mine)

    def _asked_of_mine(self) -> bool:
        """Whether all that the study asked are trials of this plane."""
        ids = self.plane.trial_ids
        return all(t.user_attrs.get("trial_ids") == ids.get(_point(t)) for t in self._trials())

    def _start_waiting(self) -> None:
        """Give every enqueued point to a running trial, those of a driver that died included."""
        while self._trials(TrialState.WAITING):
            self.study.ask(self.distributions)

    def _add(self, point: Point, phases: list[str]) -> None:
        """A point that the table knew before the study did."""
        trial = create_trial(
            params=self.plane.values(point),
            distributions=self.distributions,
            value=self.plane.share(phases),
            user_attrs=self._facts(point) | {"phases": phases},
        )
        self.study.add_trial(trial)

    def _facts(self, point: Point) -> dict[str, Any]:
        return {"point": list(point), "trial_ids": self.plane.trial_ids[point]}

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Those in some states, otherwise all that are LIVE."""
        found = self.study.get_trials(deepcopy=False, states=states or LIVE)
        return [trial for trial in found if "point" in trial.user_attrs]

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, StorageInternalError, ImportError, OSError) as error:
            said = one_line(error.__cause__ or error)
            raise SettingsError(
                f"storage = {without_password(self.url)!r}: {said}; need a database that Optuna "
                "can use (a lost one is made again from the table `trials`)"
            ) from None


def _distribution(axis: Axis) -> BaseDistribution:
    low, high = axis.values[0], axis.values[-1]
    if FIELDS[axis.field].type is int:
        return IntDistribution(int(low), int(high), log=axis.log)
    return FloatDistribution(low, high, log=axis.log)


def _point(trial: FrozenTrial) -> Point:
    x, y = trial.user_attrs["point"]
    return int(x), int(y)
