"""The search is an ordinary Optuna study: whoever opens it with the sampler resumes it."""

import optuna
import pytest

from service.boundary.sampler import BoundarySampler
from service.boundary.study import BoundaryStudy, storage_url
from tests.service.boundary.searching import Table, by_side, point_of, run, study_of


def share_at(plane, point):
    return plane.share([by_side(config) for config in plane.configs(point)])


def test_plain_ask_and_tell_asks_what_the_search_asks(search, plane, settings, store):
    run(search, settings, Table(store))
    asked = [point_of(trial) for trial in study_of(settings).trials]

    sampler = BoundarySampler(plane, 1)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    count, found = len(search.first), []
    while sampler.next_point(study) is not None:
        trials = []
        while len(trials) < count and sampler.next_point(study) is not None:
            trials.append(study.ask(sampler.distributions))
        for trial in trials:
            study.tell(trial, share_at(plane, point_of(trial)))
        found += map(point_of, trials)
        count = 4
    assert found == asked


def test_a_first_trial_that_is_suggested_by_hand_is_a_point(plane):
    study = optuna.create_study(sampler=BoundarySampler(plane, 1), direction="maximize")
    trial = study.ask()
    low, high = plane.x.values[0], plane.x.values[-1]
    trial.suggest_float("weight_decay", low, high, log=True)
    trial.suggest_float("train_fraction", plane.y.values[0], plane.y.values[-1])
    assert point_of(trial) == (0, 0)
    with pytest.raises(ValueError, match=r"color.*no axis.*weight_decay"):
        trial.suggest_float("color", 0, 1)


def test_at_its_end_the_sampler_has_no_point(search, plane, settings, store):
    run(search, settings, Table(store))
    sampler, url = BoundarySampler(plane, 1), storage_url(settings)
    study = optuna.load_study(study_name="wall", storage=url, sampler=sampler)
    assert sampler.next_point(study) is None
    with pytest.raises(RuntimeError, match="at its end"):
        study.ask(sampler.distributions)
    BoundaryStudy("wall", plane, 1, url).sync({})  # what it left is put away
    assert study.trials[-1].state.name == "FAIL"


def test_a_share_that_is_told_later_is_the_one_that_counts(plane):
    sampler = BoundarySampler(plane, 1)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for share in (0.0, 1.0):
        study.enqueue_trial(plane.values((2, 3)))
        study.tell(study.ask(sampler.distributions), share)
    share_XY, belief = sampler.observed(study)
    assert share_XY[2, 3] == 1.0
    assert belief.side_XY[2, 3]
