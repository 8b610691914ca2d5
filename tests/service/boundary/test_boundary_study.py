"""The Optuna study of a search, in a real SQLite file: resumed, rebuilt, refused."""

from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from grokmodel.errors import ConfigError
from service.boundary import search as boundary_search
from service.boundary.plane import listed_axis, make_plane, spaced_axis
from service.boundary.state import KNOWN, OPEN, make_search
from service.boundary.study import BoundaryStudy, storage_url
from service.schedule.plan import Resources
from service.settings import Settings
from service.store import keys
from service.store.store import Store
from tests.service.boundary.searching import (
    KilledError,
    Table,
    grows,
    point_of,
    published,
    run,
    study_of,
)
from tests.service.planes import SIZE


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch):
    """Its figure has tests of its own."""
    monkeypatch.setattr(boundary_search, "draw", lambda found, store: None)


@pytest.fixture
def study(search, settings):
    return BoundaryStudy("wall", search.plane, 1, storage_url(settings))


def enqueue(study, *points):
    for point in points:
        study.study.enqueue_trial(study.plane.values(point))
    study.ask(len(points))


def test_a_search_finds_the_truth_and_leaves_a_study_of_its_trials(search, settings, store):
    table = Table(store)
    found = run(search, settings, table)
    assert found.state == KNOWN
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
    assert len({point_of(trial) for trial in trials}) == len(trials)
    assert len(trials) * 2 == len(table.trained) == len(set(table.trained))
    for trial in trials:
        assert trial.params == search.plane.values(point_of(trial))
        assert trial.user_attrs["trial_ids"] == search.plane.trial_ids[point_of(trial)]
        assert trial.value == search.plane.share(trial.user_attrs["phases"])


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
        if point_of(trial) == ended:
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
        states.setdefault(point_of(trial), []).append(trial.state)
    assert states.pop(ended) == [state, TrialState.COMPLETE]
    assert set(map(tuple, states.values())) == {(TrialState.COMPLETE,)}


def test_a_trial_that_was_cut_short_while_it_was_asked_fails_and_the_search_resumes(
    search, study, settings, store
):
    study.study.ask()  # no parameters yet
    study.study.ask().suggest_float("weight_decay", 0.1, 10, log=True)
    assert run(search, settings, Table(store)).state == KNOWN
    trials = study_of(settings).trials
    assert [trial.state for trial in trials[:2]] == [TrialState.FAIL] * 2
    assert {trial.state for trial in trials[2:]} == {TrialState.COMPLETE}
    assert len({point_of(trial) for trial in trials[2:]}) == len(trials) - 2


def test_a_point_that_is_enqueued_off_the_lattice_or_twice_is_not_trained(
    search, study, settings, store
):
    between = search.plane.values((3, 3)) | {"weight_decay": 0.1234}
    for values in (between, search.plane.values((3, 3)), search.plane.values((3, 3))):
        study.study.enqueue_trial(values)
    table = Table(store)
    run(search, settings, table)
    assert len(table.trained) == len(set(table.trained))
    states = [trial.state for trial in study_of(settings).trials[:3]]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL]


def test_a_failed_trial_whose_rows_are_there_is_told_anew(search, study, settings):
    point = (3, 3)
    enqueue(study, point)
    study.study.tell(0, state=TrialState.FAIL)
    study.sync(dict.fromkeys(search.plane.trial_ids[point], "grokking"))
    assert [trial.value for trial in study_of(settings).trials] == [None, 1.0]


@pytest.mark.parametrize(
    "dies_after", [7, *(pytest.param(n, marks=pytest.mark.cluster) for n in (0, 23))]
)
def test_killed_at_any_trial_it_resumes_and_asks_nothing_twice(
    search, settings, store, dies_after, tmp_path
):
    first, second = Table(store, dies_after), Table(store)
    with pytest.raises(KilledError):
        run(search, settings, first)
    found = run(search, settings, second)
    assert not {*first.trained} & {*second.trained}
    points = [point_of(trial) for trial in study_of(settings).trials]
    assert len(points) == len(set(points)) == found.points

    whole = Settings(**vars(settings) | {"store": str(tmp_path / "whole")})
    undisturbed = run(search, whole, Table(Store(whole)))
    assert (undisturbed.belief.side_XY == found.belief.side_XY).all()
    assert undisturbed.phases == found.phases


def test_a_lost_study_is_made_again_from_the_table(search, settings, store):
    found = run(search, settings, Table(store))
    before = {point_of(t): t.value for t in study_of(settings).trials}
    (Path(settings.store) / "optuna.db").unlink()
    table = Table(store)
    again = run(search, settings, table)
    assert table.trained == []
    assert again.phases == found.phases
    trials = study_of(settings).trials
    assert {point_of(t): t.value for t in trials} == before


def test_a_search_stops_at_its_most_trials_and_resumes_with_more(plane, settings, store):
    little = make_search("wall", plane, 1, 22)
    table = Table(store)
    found = run(little, settings, table)
    assert len(table.trained) == 22
    assert found.state == OPEN
    assert run(make_search("wall", plane, 1, 100), settings, table).state == KNOWN


def test_a_name_belongs_to_one_plane(search, settings, store):
    run(search, settings, Table(store))
    other = make_plane(search.plane.x, search.plane.y, search.plane.fixed, [0])
    with pytest.raises(ConfigError, match=r"--name.*'wall'.*differs in seeds$"):
        BoundaryStudy("wall", other, 1, storage_url(settings))


HIDDEN = [  # field and values of an axis, and two planes that are one at its first value
    ("N", [1, 2, 4], {"decoder_1step": "mean"}, {"decoder_1step": "decoder"}),
    ("late_decay_from", [0, 10, 20], {"late_weight_decay": 0.5}, {"late_weight_decay": 2.0}),
]


@pytest.mark.parametrize(("field", "values", "one", "other"), HIDDEN)
def test_a_field_that_does_not_count_at_the_first_point_tells_planes_apart(
    settings, field, values, one, other
):
    x = listed_axis("--x", field, values, None)
    y = spaced_axis("--y", "weight_decay", 0.1, 10, 3, log=True)
    mine, theirs = (make_plane(x, y, {"P": 7, "side": 8} | fixed, [0]) for fixed in (one, other))
    study = BoundaryStudy("wall", mine, 1, storage_url(settings))
    enqueue(study, (0, 0), (2, 2))
    with pytest.raises(ConfigError, match=r"--name.*'wall'.*differs in trials$"):
        BoundaryStudy("wall", theirs, 1, storage_url(settings))
    BoundaryStudy("wall", mine, 1, storage_url(settings))


def test_shares_are_those_of_the_table(search, study, settings, store):
    """A study may have been told something else, be it by hand."""
    point = search.first[0]
    enqueue(study, point)
    study.study.tell(0, 0.0 if grows(search.plane.configs(point)[0]) else 1.0)
    found = run(search, settings, Table(store))
    for at, phases in found.phases.items():
        assert found.share_XY[at] == search.plane.share(phases)
        assert found.belief.side_XY[at] == grows(search.plane.configs(at)[0])


def test_a_round_fills_the_cluster_within_bounds(plane):
    assert boundary_search.round_size(plane, Resources(1, 1.0, 0.0)) == 4
    assert boundary_search.round_size(plane, Resources(4, 1.0, 0.0)) == 8
    assert boundary_search.round_size(plane, Resources(64, 1.0, 1.0)) == SIZE**2 // 8
