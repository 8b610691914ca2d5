"""The Optuna study of a search for a boundary: which points were asked, and what was told of them.

An ordinary study whose sampler is a `BoundarySampler`: ask, train, tell. The truth is the `trials`
table; a study that is lost, behind, or was told otherwise is brought up to it by `sync`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.trial import Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from grokmodel.errors import ConfigError
from service.boundary.lattice import Belief, Floats, Point
from service.boundary.plane import Plane
from service.boundary.sampler import ASKED, BoundarySampler
from service.settings import Settings, SettingsError, sqlite_file, sqlite_uri, without_password
from service.text import one_line


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

    def __init__(self, name: str, plane: Plane, tolerance: int, url: str) -> None:
        """Open the study, or make it.

        Raises:
            SettingsError: the storage cannot be used.
            ConfigError: the name belongs to a search in another plane.
        """
        self.plane = plane
        self.url = url
        self.sampler = BoundarySampler(plane, tolerance)
        logging.getLogger("optuna").setLevel(logging.WARNING)
        with self._storage_errors():
            if file := sqlite_file(url):
                file.parent.mkdir(parents=True, exist_ok=True)
            self.study = optuna.create_study(
                study_name=name, storage=url, direction="maximize", load_if_exists=True,
                sampler=self.sampler,
            )  # fmt: skip
            self._claim(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.set_metric_names([plane.what])
            waiting = (TrialState.WAITING,)
            while self.study.get_trials(deepcopy=False, states=waiting):  # enqueued by somebody
                self._ask_one()

    def sync(self, phases: Mapping[str, str]) -> tuple[Floats, Belief]:
        """Bring the study up to the table: tell what it waits for, add what it does not know.

        Args:
            phases: trial id -> phase, of all trials that are done.

        Returns:
            Shares that are observed, NaN elsewhere, and what they say of all points.
        """
        with self._storage_errors():
            self._tell(phases)
            share_XY, _ = self.sampler.observed(self.study)
            for point in np.ndindex(self.plane.shape):
                found = self.plane.phases_at(point, phases)
                if found and share_XY[point] != self.plane.share(found):
                    self._add(point, found)
            return self.sampler.observed(self.study)

    def ask(self, count: int) -> None:
        """Ask the sampler for up to `count` points, fewer where the search comes to its end."""
        with self._storage_errors():
            while count > 0 and self.sampler.next_point(self.study) is not None:
                self._ask_one()
                count -= 1

    def running(self) -> list[Point]:
        """Points that were asked and of which nothing is told yet, in the order of asking."""
        return self._points(TrialState.RUNNING)

    def asked(self) -> list[Point]:
        """All points of the study, in the order of asking."""
        return self._points(*ASKED)

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

    def _ask_one(self) -> None:
        trial = self.study.ask(self.sampler.distributions)
        if point := self.plane.point(trial.params):
            trial.set_user_attr("trial_ids", self.plane.trial_ids[point])

    def _tell(self, phases: Mapping[str, str]) -> None:
        """Finish the running trials: those whose phases are found, and those that are no points."""
        seen: set[Point | None] = set()
        for trial in self.study.get_trials(deepcopy=False, states=ASKED):
            point = self.plane.point(trial.params)
            if trial.state == TrialState.RUNNING:
                if point is None or point in seen:
                    # off the lattice, cut short while it was asked, or asked by two at once
                    self.study.tell(trial.number, state=TrialState.FAIL)
                elif found := self.plane.phases_at(point, phases):
                    # of the driver that asked, which may be gone, only the number is left
                    Trial(self.study, trial._trial_id).set_user_attr("phases", found)
                    self.study.tell(trial.number, self.plane.share(found), skip_if_finished=True)
            seen.add(point)

    def _add(self, point: Point, phases: list[str]) -> None:
        """A point that the table knew before the study did, or knows otherwise."""
        trial = create_trial(
            params=self.plane.values(point),
            distributions=self.sampler.distributions,
            value=self.plane.share(phases),
            user_attrs={"trial_ids": self.plane.trial_ids[point], "phases": phases},
        )
        self.study.add_trial(trial)

    def _points(self, *states: TrialState) -> list[Point]:
        with self._storage_errors():
            return list(dict.fromkeys(p for p, _ in self.sampler.points(self.study, *states)))

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
