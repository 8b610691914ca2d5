"""A search of the small plane with a table that stands for training."""

import json

import optuna

from service.boundary.search import find_boundary
from service.boundary.study import storage_url
from service.store import keys
from service.tables.reading import read_table
from service.tables.writing import write_rows
from tests.service.planes import small_plane
from tests.service.rows import finished_row

PLANE = small_plane()


class KilledError(Exception):
    """The driver is gone."""


def grows(config):
    """A truth: what generalizes where."""
    return config.weight_decay < 5 * config.train_fraction


def by_side(config):
    return "grokking" if grows(config) else "memorization"


class Table:
    """Stands for training: writes rows with the phases of the truth, and remembers which."""

    def __init__(self, store, dies_after=None, truth=by_side):
        self.store, self.trained, self.dies_after = store, [], dies_after
        self.truth = truth

    def __call__(self, configs):
        known = set(read_table(self.store, "trials", "wall")["trial_id"])
        todo = [config for config in configs if config.trial_id not in known]
        left = len(todo) if self.dies_after is None else self.dies_after - len(self.trained)
        rows = []
        for config in todo[:left]:
            rows.append(finished_row(config) | {"phase": self.truth(config)})
            self.trained.append(config.trial_id)
        write_rows(self.store, "trials", "wall", rows)
        if left < len(todo):
            raise KilledError


def run(search, settings, table):
    return find_boundary(
        search, storage_url(settings), table.store, table, pack=lambda: 4, log=lambda line: None
    )


def point_of(trial):
    return PLANE.point(trial.params)


def study_of(settings):
    return optuna.load_study(study_name="wall", storage=storage_url(settings))


def published(store):
    return json.loads(store.get(f"{keys.boundary_prefix('wall')}/boundary.json"))
