"""Axes are spaced as their fields are; what makes no plane is refused by its flag."""

import math

import numpy as np
import pytest

from grokmodel.errors import ConfigError
from service.boundary.plane import listed_axis, make_plane, spaced_axis
from service.boundary.state import make_search
from tests.service.tiny import tiny_config


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
        (lambda: spaced_axis("--x", "color", 1, 2, 9, False), "--x = 'color'.*train_fraction"),
        (lambda: spaced_axis("--x", "seed", 1, 9, 9, False), "--x = 'seed'"),
        (lambda: spaced_axis("--x", "norm", 1, 9, 9, False), "--x = 'norm'.*number"),
        (lambda: listed_axis("--x", "P", [11, 17], None), "3 or more"),
        (lambda: listed_axis("--x", "P", [11, 17.6, 23], None), r"--x-values = 17\.6 .*whole"),
        (lambda: listed_axis("--y", "P", [11, math.inf, 23], None), "--y-values = inf .*whole"),
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
        make_search("a", make_plane(x, y, {}, [0, 1]), 1, 3)
    with pytest.raises(ConfigError, match=r"--tolerance = 0 .*from 1"):
        make_search("a", make_plane(x, y, {}, [0]), 0, None)


@pytest.mark.parametrize(
    ("cells", "points"), [((16, 16), 64), ((9, 9), 21), ((8, 8), 18), ((5, 5), 18), ((3, 3), 9)]
)
def test_the_usual_cap_is_a_quarter_of_all_but_small_lattices(cells, points):
    x = spaced_axis("--x", "lr", 0.1, 1, cells[0], True)
    y = spaced_axis("--y", "weight_decay", 0.1, 1, cells[1], True)
    assert make_search("a", make_plane(x, y, {}, [0]), 1, None).most_points == points


def test_trials_of_a_point_differ_in_their_seed_only(plane):
    one, two = plane.configs((2, 3))
    assert (one.seed, two.seed) == (0, 1)
    assert one.to_dict() | {"seed": 1} == two.to_dict()
    assert one.weight_decay == plane.x.values[2]
    assert one.side == tiny_config().side


def test_values_name_their_point_and_no_other(plane):
    points = list(np.ndindex(plane.shape))
    assert [plane.point(plane.values(point)) for point in points] == points
    assert plane.point({"weight_decay": 0.1}) is None
    assert plane.point(plane.values((0, 0)) | {"weight_decay": 0.11}) is None


def test_sides_are_those_by_the_end_of_the_budget(plane):
    """A trial that would have generalized later is on the other side."""
    y = spaced_axis("--y", "train_fraction", 0.1, 0.9, 3, log=False)
    given = make_plane(plane.x, y, {**plane.fixed, "steps": 2750}, [0])
    assert given.side(True) == "generalized by step 2,750"
    assert given.side(False) == "not generalized by step 2,750"
    steps = listed_axis("--x", "steps", [250, 500, 5000], None)
    varied = make_plane(steps, y, plane.fixed, [0], "learned")
    assert varied.side(False) == "not learned by its last step"
