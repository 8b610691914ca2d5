"""The Optuna study of a search, in a real SQLite file: resumed, rebuilt, refused."""

import json
import pickle
from pathlib import Path

import numpy as np
import optuna
import pytest

from grokmodel.config import LATER_FIELDS, ConfigError
from service import storage
from service.boundary import search as boundary_search
from service.boundary.plane import listed_axis, make_plane, spaced_axis
from service.boundary.study import BoundaryStudy, storage_url
from service.plan import Resources
from service.settings import Settings, SettingsError, load_settings
from service.tables import read_table, write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

SIZE = 9


class KilledError(Exception):
    """The driver is gone."""


@pytest.fixture
def plane():
    x = spaced_axis("--x", "weight_decay", 0.1, 10, SIZE, log=True)
    y = spaced_axis("--y", "train_fraction", 0.1, 0.9, SIZE, log=False)
    return make_plane(x, y, {"P": 7, "side": 8, "width": 16, "ffn": 16}, [0, 1])


@pytest.fixture
def search(plane):
    return boundary_search.make_search("wall", plane, 1, None)


def grows(config):
    """A truth: what generalises where."""
    return config.weight_decay < 5 * config.train_fraction


class Table:
    """Stands for training: writes rows by the truth, and remembers what it was not spared."""

    def __init__(self, store, dies_after=None):
        self.store, self.trained, self.dies_after = store, [], dies_after

    def __call__(self, configs):
        known = set(read_table(self.store, "trials", "wall")["trial_id"])
        todo = [config for config in configs if config.trial_id not in known]
        left = len(todo) if self.dies_after is None else self.dies_after - len(self.trained)
        rows = []
        for config in todo[:left]:
            phase = "grokking" if grows(config) else "memorization"
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
    prefix = storage.figures_prefix("wall")
    said = json.loads(store.get(f"{prefix}/boundary.json"))
    assert said["known"]
    assert len(said["points"]) == SIZE**2
    observed = [p for p in said["points"] if p["status"] == "observed"]
    assert len(observed) == len(trials)
    assert store.get(f"{prefix}/boundary.png").startswith(b"\x89PNG")


def test_a_search_from_before_a_field_goes_on(search, settings, store):
    run(search, settings, Table(store))
    study = study_of(settings)
    plane = study.user_attrs["plane"]
    for field in LATER_FIELDS:
        del plane["fixed"][field]
    study.set_user_attr("plane", plane)
    again = Table(store)
    run(search, settings, again)
    assert again.trained == []


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
    undisturbed = run(search, whole, Table(storage.Store(whole)))
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
    with pytest.raises(ConfigError, match=r"--name.*'wall'.*another seeds"):
        BoundaryStudy("wall", other, storage_url(settings))


def test_the_study_lies_in_a_folder_store_and_must_be_named_for_s3(settings, monkeypatch):
    assert storage_url(settings) == f"sqlite:///{settings.store}/optuna.db"
    remote = Settings(store="s3://bucket/x", tracking_uri="http://mlflow", data_root="data")
    with pytest.raises(SettingsError, match=r"s3://bucket/x.*GROK_OPTUNA.*postgresql://"):
        storage_url(remote)
    monkeypatch.setenv("GROK_OPTUNA", "postgresql://me:secret@host/optuna")
    named = load_settings("/somewhere")
    assert storage_url(named) == "postgresql://me:secret@host/optuna"
    assert "secret" not in repr(named)
    assert b"secret" not in pickle.dumps(named)
    monkeypatch.setenv("GROK_OPTUNA", "optuna.db")
    with pytest.raises(SettingsError, match=r"GROK_OPTUNA = 'optuna.db'.*sqlite:///"):
        load_settings("/somewhere")


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@127.0.0.1:1/optuna", "nosuch://me:secret@host/x"]
)
def test_a_storage_that_does_not_answer_is_named_without_its_password(plane, url):
    with pytest.raises(SettingsError, match="storage = ") as refused:
        BoundaryStudy("wall", plane, url)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_database_is_named(plane, tmp_path):
    (tmp_path / "optuna.db").write_text("not a database, but long enough to be taken for one" * 9)
    with pytest.raises(SettingsError, match=r"storage = .*optuna.db.*database"):
        BoundaryStudy("wall", plane, f"sqlite:///{tmp_path}/optuna.db")


def test_a_round_fills_the_cluster_within_bounds(plane):
    assert boundary_search.round_size(plane, Resources(1, 1.0, 0.0)) == 4
    assert boundary_search.round_size(plane, Resources(4, 1.0, 0.0)) == 8
    assert boundary_search.round_size(plane, Resources(64, 1.0, 1.0)) == SIZE**2 // 8


# --- planes --------------------------------------------------------------------------------------


def test_values_are_spaced_as_the_field_is_and_whole_where_it_is():
    axis = spaced_axis("--x", "lr", 1e-4, 1e-2, 5, log=True)
    assert np.allclose(np.diff(np.log(axis.values)), np.log(10) / 2, rtol=1e-4)
    assert (axis.values[0], axis.values[-1]) == (1e-4, 1e-2)
    whole = spaced_axis("--x", "N", 1, 4, 16, log=True)
    assert whole.values == (1, 2, 3, 4)
    assert all(type(value) is int for value in whole.values)
    assert listed_axis("--x", "P", [31, 11, 17, 11], None).values == (11, 17, 31)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: spaced_axis("--x", "weight_decay", 0, 1, 9, True),
            r"--x weight_decay = 0.*linear",
        ),
        (lambda: spaced_axis("--x", "lr", 1, 0.1, 9, True), "--x = .*LOW below HIGH"),
        (lambda: spaced_axis("--y", "lr", 0.1, float("nan"), 9, True), "--y = .*finite"),
        (lambda: spaced_axis("--y", "lr", 0.1, 1, 2, True), "--cells = 2 .*3 or more"),
        (lambda: spaced_axis("--x", "P", 11, 12, 9, False), r"--x P = \(11, 12\).*3 or more"),
        (lambda: spaced_axis("--x", "colour", 1, 2, 9, False), "--x = 'colour'.*train_fraction"),
        (lambda: spaced_axis("--x", "seed", 1, 9, 9, False), "--x = 'seed'"),
        (lambda: spaced_axis("--x", "norm", 1, 9, 9, False), "--x = 'norm'.*number"),
        (lambda: listed_axis("--x", "P", [11, 17], None), "3 or more"),
        (lambda: listed_axis("--x", "lr", [0, 1, 2], True), "--x lr = 0.0.*above 0"),
    ],
)
def test_a_bad_axis_is_refused_by_its_flag(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_bad_plane_is_refused():
    x = spaced_axis("--x", "lr", 0.1, 1, 9, True)
    with pytest.raises(ConfigError, match=r"--y = 'lr'.*another field"):
        make_plane(x, x, {}, [0])
    y = spaced_axis("--y", "weight_decay", 0.1, 1, 9, True)
    with pytest.raises(ConfigError, match=r"--weight-decay = 3.*left out"):
        make_plane(x, y, {"weight_decay": 3}, [0])
    beyond = spaced_axis("--y", "train_fraction", 0.5, 1.5, 9, False)
    with pytest.raises(ConfigError, match=r"train_fraction = 1.*\(0, 1\)"):
        make_plane(x, beyond, {}, [0])
    with pytest.raises(ConfigError, match=r"--max-trials = 3 .*18 or more"):
        boundary_search.make_search("a", make_plane(x, y, {}, [0, 1]), 1, 3)
    with pytest.raises(ConfigError, match=r"--tolerance = 0 .*from 1"):
        boundary_search.make_search("a", make_plane(x, y, {}, [0]), 0, None)


def test_trials_of_a_point_differ_in_their_seed_only(plane):
    one, two = plane.configs((2, 3))
    assert (one.seed, two.seed) == (0, 1)
    assert one.to_dict() | {"seed": 1} == two.to_dict()
    assert one.weight_decay == plane.x.values[2]
    assert one.side == tiny_config().side
