import dataclasses
import subprocess
import sys

import pytest

from grokmodel.errors import ConfigError
from grokmodel.rules.config import FIELDS, GROUP_SIZES, RulesConfig, RulesShape
from tests.grokmodel.rules.tiny import tiny


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("family", "image"),
        ("group_size", 5),  # does not divide 36
        ("group_size", 1),
        ("group_size", 72),
        ("images", 0),
        ("images", 65_537),
        ("model", "gan"),
        ("heads", 3),  # of width 8
        ("depth", 0),
        ("pixels_per_token", 5),  # does not divide 36
        ("eval_samples", 0),
        ("steps", 21),  # evaluated every 5
    ],
)
def test_a_bad_value_is_refused_by_name(field, value):
    with pytest.raises(ConfigError) as caught:
        tiny(**{field: value})
    assert caught.value.field == field
    assert str(value) in str(caught.value)


def test_a_refused_group_size_says_which_there_are():
    with pytest.raises(ConfigError, match=r"one of 2, 3, 4, 6, 9, 12, 18, 36"):
        tiny(group_size=7)
    assert [tiny(group_size=k).group_size for k in GROUP_SIZES] == [2, 3, 4, 6, 9, 12, 18, 36]


def test_the_shape_is_one_object_and_changes_with_its_own_fields_alone():
    other = {
        "model": "autoregressive",
        "pixels_per_token": 1,
        "width": 16,
        "depth": 2,
        "heads": 4,
        "ffn": 13,
        "batch": 9,
        "sample_steps": 4,
        "eval_samples": 17,
        "optimizer": "sgd",
        "eval_every": 10,
    }
    assert set(other) == {f.name for f in dataclasses.fields(RulesShape)}
    for field, value in other.items():
        assert tiny(**{field: value}).shape != tiny().shape
    free = {"group_size": 4, "images": 30, "seed": 2, "lr": 0.1, "weight_decay": 1.0, "steps": 40}
    assert tiny(**free).shape is tiny().shape
    assert tiny(**free).trial_id != tiny().trial_id


@pytest.mark.parametrize("field", ["sample_steps", "pixels_per_token"])
def test_what_only_a_flow_has_is_no_part_of_what_draws_pixel_by_pixel(field):
    one, other = (tiny(model="autoregressive", **{field: n}) for n in (4, 9))
    assert one.trial_id == other.trial_id
    assert tiny(**{field: 9}).trial_id != tiny(**{field: 4}).trial_id


def test_a_config_survives_a_dict():
    assert RulesConfig.from_dict(tiny().to_dict()) == tiny()
    assert list(tiny().to_dict()) == list(FIELDS)


def test_a_config_needs_no_torch():
    program = "import sys, grokmodel.rules.config; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
