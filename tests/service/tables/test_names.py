"""Trials whose configs differ have names that differ."""

import pandas as pd
import pytest

from grokmodel.tokens.config import TokensConfig
from service.store.manifest import write_manifest
from service.tables.names import LONGEST, axes_of, distinct, sweep_axes, trial_name, varied_fields
from service.text import config_value
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CLOSE = (0.1234567, 0.12345671)
"""Six digits do not tell them apart."""


@pytest.mark.parametrize(
    ("field", "values"),
    [("lr", (1e-3, 2e-3)), ("weight_decay", CLOSE), ("train_fraction", (0.5, 0.5000001)),
     ("patch", (4, 8)), ("input_gate", (True, False)), ("op", ("add", "mul")), ("seed", (0, 1))],
)  # fmt: skip
def test_names_differ_by_what_a_sweep_varies(store, field, values):
    configs = [tiny_config(**{field: value}) for value in values]
    write_manifest(store, "sweep", configs, "1")
    axes = sweep_axes(store, "sweep")
    names = [trial_name(config, axes) for config in configs]
    assert names[0] != names[1]
    assert all(config_value(value) in name for name, value in zip(names, values))


def test_a_sweep_that_grows_a_new_axis_gives_no_name_twice(store):
    first = [tiny_config(seed=s) for s in range(2)]
    write_manifest(store, "sweep", first, "1")
    names = {trial_name(c, sweep_axes(store, "sweep")) for c in first}
    assert names == {"s0 P7 N1 w16 wd1 R0.8", "s1 P7 N1 w16 wd1 R0.8"}
    more = [tiny_config(seed=s, lr=2e-3) for s in range(2)]
    write_manifest(store, "sweep", more, "1")
    names |= {trial_name(c, sweep_axes(store, "sweep")) for c in more}
    assert "lr=0.002 s1" in names
    assert len(names) == 4


def test_a_name_begins_with_what_varies_and_leaves_out_what_does_not(store):
    configs = [
        tiny_config(weight_decay=d, train_fraction=r, lr=lr, seed=s)
        for d in (1, 3) for r in (0.5, 0.8) for lr in (1e-3, 2e-3) for s in (0, 1)
    ]  # fmt: skip
    write_manifest(store, "sweep", configs[:4], "1")
    few = [trial_name(c, sweep_axes(store, "sweep")) for c in configs[:4]]
    assert few == ["lr=0.001 s0", "lr=0.001 s1", "lr=0.002 s0", "lr=0.002 s1"]
    write_manifest(store, "sweep", configs, "1")
    names = [trial_name(c, sweep_axes(store, "sweep")) for c in configs]
    assert names[-1] == "wd3 R0.8 lr=0.002 s1"
    assert len({*few, *names}) == 4 + 16


def test_axes_are_told_with_all_their_values(store):
    configs = [tiny_config(weight_decay=d, seed=s) for d in (3, 0.1, 1) for s in range(13)]
    write_manifest(store, "sweep", configs, "1")
    axes = {"weight_decay": "0.1, 1, 3", "seed": "0 to 12 (13 values)"}
    assert sweep_axes(store, "sweep") == axes
    write_manifest(store, "one", configs[:1], "1")
    assert sweep_axes(store, "one") == {}
    assert sweep_axes(store, "none") == {}


def test_axes_of_trials_of_several_families_are_those_of_each():
    images = [tiny_config(N=n).to_dict() for n in (1, 4)]
    tokens = [TokensConfig(P=p).to_dict() for p in (53, 113)]
    axes = axes_of([*images, *tokens])
    assert (axes["N"], axes["P"]) == ("1, 4", "7, 53, 113")


def test_a_name_that_is_too_long_is_cut_and_still_of_one_trial():
    axes = [f for f in tiny_config().to_dict() if f != "seed"]
    names = {trial_name(tiny_config(eval_pairs=n), axes) for n in (100, 200)}
    assert len(names) == 2
    assert max(map(len, names)) <= LONGEST


def test_labels_of_an_axis_are_as_short_as_they_can_be_and_differ():
    assert distinct([0.1 + 0.2, 1.0]) == ["0.3", "1"]
    assert distinct(CLOSE) == ["0.1234567", "0.12345671"]
    assert distinct([0.123456, 3e5], digits=3) == ["0.123", "3e+05"]
    assert distinct(["emnist", "glyphs"]) == ["emnist", "glyphs"]


def test_a_patch_that_follows_its_image_is_no_axis_of_its_own():
    def fields(*changes):
        return varied_fields(pd.DataFrame([finished_row(tiny_config(**c)) for c in changes]))

    assert fields({"side": 8}, {"side": 16}) == ["side"]
    assert fields({"patch": 4}, {"patch": 8}) == ["patch"]
    assert fields({"seed": 0}, {"seed": 1}) == []
