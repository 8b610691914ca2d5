"""The Optuna study of a search, in a real SQLite file: resumed, rebuilt, refused."""

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from matplotlib.text import Text
from optuna.trial import TrialState

from grokmodel.errors import ConfigError
from service.boundary import figure as boundary_figure
from service.boundary import search as boundary_search
from service.boundary.lattice import KNOWN, NONE_SEEN
from service.boundary.plane import listed_axis, make_plane, spaced_axis
from service.boundary.study import BoundaryStudy, storage_url
from service.schedule.plan import Resources
from service.settings import Settings
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table, write_rows
from tests.service.planes import SIZE
from tests.service.rows import finished_row


class KilledError(Exception):
    """The driver is gone."""


@pytest.fixture
def search(plane):
    return boundary_search.make_search("wall", plane, 1, None)


def grows(config):
    """A truth: what generalises where."""
    return config.weight_decay < 5 * config.train_fraction


class Table:
    """Stands for training: writes rows by the truth, and remembers what it was not spared."""

    def __init__(self, store, dies_after=None, truth=grows):
        self.store, self.trained, self.dies_after = store, [], dies_after
        self.truth = truth

    def __call__(self, configs):
        known = set(read_table(self.store, "trials", "wall")["trial_id"])
        todo = [config for config in configs if config.trial_id not in known]
        left = len(todo) if self.dies_after is None else self.dies_after - len(self.trained)
        rows = []
        for config in todo[:left]:
            phase = "grokking" if self.truth(config) else "memorization"
            rows.append(finished_row(config) | {"phase": phase})
            self.trained.append(config.trial_id)
        write_rows(self.store, "trials", "wall", rows)
        if left < len(todo):
            raise KilledError


def run(search, settings, table):
    study = BoundaryStudy("wall", search.plane, storage_url(settings))
    return boundary_search.find_boundary(
        search, study, table.store, table, pack=lambda: 4, say=lambda line: None
    )


def published(store):
    return json.loads(store.get(f"{keys.boundary_prefix('wall')}/boundary.json"))


def words_of(found):
    figure = boundary_figure.draw(found.search.plane, 1, found.belief, found.phases)
    return [text.get_text() for text in figure.findobj(Text)]


def study_of(settings):
    return optuna.load_study(study_name="wall", storage=storage_url(settings))


def test_a_search_finds_the_truth_and_leaves_study_figure_and_points(search, settings, store):
    table = Table(store)
    found = run(search, settings, table)
    assert found.open_ends == 0
    for point in np.ndindex(search.plane.shape):
        near = [
            grows(config)
            for around in np.ndindex(search.plane.shape)
            if max(abs(a - b) for a, b in zip(point, around)) <= 1
            for config in search.plane.configs(around)
        ]
        assert bool(found.belief.side_XY[point]) in near  # wrong by a cell at most
    trials = study_of(settings).trials
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert len({tuple(trial.user_attrs["point"]) for trial in trials}) == len(trials)
    assert len(trials) * 2 == len(table.trained) == len(set(table.trained))
    for trial in trials:
        x, y = trial.user_attrs["point"]
        assert trial.params == search.plane.values((x, y))
        assert trial.value == search.plane.share(trial.user_attrs["phases"])
    said = published(store)
    assert said["known"]
    assert said["state"] == KNOWN
    assert len(said["points"]) == SIZE**2
    observed = [p for p in said["points"] if p["status"] == "observed"]
    assert len(observed) == len(trials)
    png = store.get(f"{keys.boundary_prefix('wall')}/boundary.png")
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("side", [True, False])
def test_where_all_that_is_observed_is_on_one_side_no_boundary_is_known(
    search, settings, store, side
):
    found = run(search, settings, Table(store, truth=lambda config: side))
    assert found.points == len(search.first)
    assert found.state == NONE_SEEN
    assert "no boundary seen" in found.in_words()
    said = published(store)
    assert said["state"] == NONE_SEEN
    assert not said["known"]
    shown = words_of(found)
    assert any("no boundary seen" in text for text in shown)
    assert "boundary" not in shown  # a line that is not there has no entry in the legend


def test_a_boundary_that_is_seen_is_in_the_legend(search, settings, store):
    assert "boundary" in words_of(run(search, settings, Table(store)))


def test_what_was_published_outlives_a_round_that_dies(search, settings, store):
    """A round begins by deleting the figures of the sweep."""

    class Sweep(Table):
        def __call__(self, configs):
            store.delete_folder(keys.figures_prefix("wall"))
            super().__call__(configs)

    with pytest.raises(KilledError):
        run(search, settings, Sweep(store, 2 * len(search.first) + 1))
    said = published(store)
    observed = sum(point["status"] == "observed" for point in said["points"])
    assert observed == len(search.first)


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.PRUNED])
def test_a_point_whose_trial_came_to_nothing_is_asked_again(search, settings, store, state):
    with pytest.raises(KilledError):
        run(search, settings, Table(store, 5))
    study, ended = study_of(settings), search.first[-1]
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        if tuple(trial.user_attrs["point"]) == ended:
            study.tell(trial.number, state=state)
    rounds = []

    class Counted(Table):
        def __call__(self, configs):
            rounds.append(len(configs))
            assert len(rounds) < 50, "without end"
            super().__call__(configs)

    assert run(search, settings, Counted(store)).state == KNOWN
    states = {}
    for trial in study_of(settings).trials:
        states.setdefault(tuple(trial.user_attrs["point"]), []).append(trial.state)
    assert states.pop(ended) == [state, TrialState.COMPLETE]
    assert set(map(tuple, states.values())) == {(TrialState.COMPLETE,)}


def test_a_failed_trial_whose_rows_are_there_is_told_anew(search, settings, store):
    study, point = BoundaryStudy("wall", search.plane, storage_url(settings)), (3, 3)
    study.ask([point])
    study.study.tell(0, state=TrialState.FAIL)
    study.sync(dict.fromkeys(search.plane.trial_ids[point], "grokking"))
    assert [trial.value for trial in study_of(settings).trials] == [None, 1.0]


@pytest.mark.parametrize("dies_after", [0, 7, 23])
def test_killed_at_any_trial_it_goes_on_and_asks_nothing_twice(
    search, settings, store, dies_after, tmp_path
):
    first, second = Table(store, dies_after), Table(store)
    with pytest.raises(KilledError):
        run(search, settings, first)
    found = run(search, settings, second)
    assert not {*first.trained} & {*second.trained}
    points = [tuple(trial.user_attrs["point"]) for trial in study_of(settings).trials]
    assert len(points) == len(set(points)) == found.points

    whole = Settings(**vars(settings) | {"store": str(tmp_path / "whole")})
    undisturbed = run(search, whole, Table(Store(whole)))
    assert (undisturbed.belief.side_XY == found.belief.side_XY).all()
    assert undisturbed.phases == found.phases


def test_a_lost_study_is_made_again_from_the_table(search, settings, store):
    found = run(search, settings, Table(store))
    before = {tuple(t.user_attrs["point"]): t.value for t in study_of(settings).trials}
    (Path(settings.store) / "optuna.db").unlink()
    table = Table(store)
    again = run(search, settings, table)
    assert table.trained == []
    assert again.phases == found.phases
    trials = study_of(settings).trials
    assert {tuple(t.user_attrs["point"]): t.value for t in trials} == before


def test_a_point_that_was_enqueued_but_not_started_is_asked_once(search, settings, store):
    study = BoundaryStudy("wall", search.plane, storage_url(settings))
    study.study.enqueue_trial(search.plane.values((3, 3)), study._facts((3, 3)))
    run(search, settings, Table(store))
    points = [tuple(trial.user_attrs["point"]) for trial in study_of(settings).trials]
    assert points.count((3, 3)) == 1
    assert len(points) == len(set(points))


def test_rows_that_are_there_already_count_as_observed(search, settings, store):
    every = list(np.ndindex(search.plane.shape))
    Table(store)([config for point in every for config in search.plane.configs(point)])
    table = Table(store)
    found = run(search, settings, table)
    assert table.trained == []
    assert found.points == SIZE**2


def test_a_search_stops_at_its_most_trials_and_goes_on_with_more(plane, settings, store):
    little = boundary_search.make_search("wall", plane, 1, 22)
    table = Table(store)
    found = run(little, settings, table)
    assert len(table.trained) == 22
    assert found.open_ends > 0
    assert run(boundary_search.make_search("wall", plane, 1, 100), settings, table).open_ends == 0


def test_a_name_belongs_to_one_plane(search, settings, store):
    run(search, settings, Table(store))
    other = make_plane(search.plane.x, search.plane.y, search.plane.fixed, [0])
    with pytest.raises(ConfigError, match=r"--name.*'wall'.*differs in seeds$"):
        BoundaryStudy("wall", other, storage_url(settings))


HIDDEN = [  # field and values of an axis, and two planes that are one at its first value
    ("N", [1, 2, 4], {"decoder_1step": "mean"}, {"decoder_1step": "decoder"}),
    ("late_decay_from", [0, 10, 20], {"late_weight_decay": 0.5}, {"late_weight_decay": 2.0}),
]


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize(("field", "values", "one", "other"), HIDDEN)
def test_a_field_that_does_not_count_at_the_first_point_tells_planes_apart(
    settings, field, values, one, other, hashed
):
    x = listed_axis("--x", field, values, None)
    y = spaced_axis("--y", "weight_decay", 0.1, 10, 3, log=True)
    mine, theirs = (make_plane(x, y, {"P": 7, "side": 8} | fixed, [0]) for fixed in (one, other))
    study = BoundaryStudy("wall", mine, storage_url(settings))
    study.ask([(0, 0), (2, 2)])
    if not hashed:  # as studies were stored before
        plane = study.study.user_attrs["plane"]
        study.study.set_user_attr("plane", {k: v for k, v in plane.items() if k != "trials"})
    with pytest.raises(ConfigError, match=r"--name.*'wall'.*differs in trials$"):
        BoundaryStudy("wall", theirs, storage_url(settings))
    BoundaryStudy("wall", mine, storage_url(settings))


def test_shares_are_those_of_the_table(search, settings, store):
    """A study may have been told something else, be it by hand."""
    study, point = BoundaryStudy("wall", search.plane, storage_url(settings)), search.first[0]
    study.ask([point])
    study.study.tell(0, 0.0 if grows(search.plane.configs(point)[0]) else 1.0)
    found = run(search, settings, Table(store))
    for at, phases in found.phases.items():
        assert found.share_XY[at] == search.plane.share(phases)
        assert found.belief.side_XY[at] == grows(search.plane.configs(at)[0])


def test_a_round_fills_the_cluster_within_bounds(plane):
    assert boundary_search.round_size(plane, Resources(1, 1.0, 0.0)) == 4
    assert boundary_search.round_size(plane, Resources(4, 1.0, 0.0)) == 8
    assert boundary_search.round_size(plane, Resources(64, 1.0, 1.0)) == SIZE**2 // 8
