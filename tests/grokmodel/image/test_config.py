import dataclasses
import hashlib
import json
import math
import pickle

import numpy as np
import pytest

from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.errors import ConfigError
from grokmodel.image.config import FIELDS, TrialConfig
from grokmodel.image.shape import PackShape
from tests.grokmodel.tiny import fields_of_type, tiny

WHEN_TO_UPDATE = (
    "the trial_id of a stored config has changed, so every stored trial would run again. Update "
    "the ids only if that is meant: SCIENCE_VERSION was raised, or a field or default was changed."
)
SPECIAL = {
    "images_hash": "0123456789abcdef",
    "P": 11,
    "side": 16,
    "patch": 4,
    "width": 18,
    "heads": 2,
    "t_levels": 4,
    "batch": 64,
    "steps": 40,
    "eval_every": 10,
    "decoder_1step": "decoder",
}


def other_value(name):
    """An allowed value that `tiny` has not."""
    field, value = FIELDS[name], getattr(tiny(), name)
    if name in SPECIAL:
        return SPECIAL[name]
    if field.choices:
        return next(choice for choice in field.choices if choice != value)
    if field.type is bool:
        return not value
    return value + 1 if field.type is int else 0.77 * (value or 1)


OTHER_VALUE = {name: other_value(name) for name in FIELDS if name != "family"}
NEEDS = {
    "sandwich_ffn": {"variant": "sandwich"},
    "sandwich_skip": {"variant": "sandwich"},
    "decoder_1step": {"N": 2},
    "late_weight_decay": {"late_decay_from": 5},
    "position": {"patch": 4},
    "t_clip": {"loss": "velocity"},
    "grokfast_decay": {"optimizer": "grokfast"},
    "grokfast_gain": {"optimizer": "grokfast"},
    "muon_momentum": {"optimizer": "muon"},
}
"""What must be set for a field to make a difference."""


def changed_in(field):
    """A config with another value of a field, and the same one without."""
    base = NEEDS.get(field, {})
    return tiny(**base, **{field: OTHER_VALUE[field]}), tiny(**base)


@pytest.mark.parametrize(
    ("fields", "trial_id"),
    [
        ({}, "33b646481f8f0acb"),
        # floats whose text is long, and numbers that need an exponent
        (
            {"op": "div", "data": "emnist", "P": 97, "train_fraction": 1 / 3, "lr": 1e-16},
            "a85ebf9189e51ebc",
        ),
    ],
)
def test_a_config_has_the_trial_id_of_the_stored_results(fields, trial_id):
    assert TrialConfig(**fields).trial_id == trial_id, WHEN_TO_UPDATE


def test_the_id_is_a_hash_of_all_fields_but_those_that_are_as_before_there_was_the_field():
    config = tiny()
    fields = dict(sorted(dataclasses.asdict(config).items()))
    assert fields.pop("family") == "image"
    text = json.dumps({"science_version": SCIENCE_VERSION, **fields}, separators=(",", ":"))
    assert config.trial_id == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_other_images_are_another_trial():
    bound, other = (tiny().with_images(16 * digit) for digit in "01")
    assert len({tiny().trial_id, bound.trial_id, other.trial_id}) == 3
    assert bound == tiny(images_hash=16 * "0")
    assert bound.shape is tiny().shape


@pytest.mark.parametrize("field", OTHER_VALUE)
def test_the_id_changes_with_every_field_and_the_pack_shape_with_its_own(field):
    changed, base = changed_in(field)
    assert getattr(changed, field) == OTHER_VALUE[field] != getattr(base, field)
    assert changed.trial_id != base.trial_id
    of_shape = field in {f.name for f in dataclasses.fields(PackShape)}
    assert (changed.shape is not base.shape) == (changed.shape != base.shape) == of_shape


@pytest.mark.parametrize("field", fields_of_type("int") + fields_of_type("float"))
def test_a_number_may_be_of_any_type_without_loss(field):
    value, kind = getattr(tiny(), field), FIELDS[field].type
    for same in (np.float64(value), *((float(value), np.int64(value)) if kind is int else ())):
        config = tiny(**{field: same})
        assert type(getattr(config, field)) is kind
        assert config.trial_id == tiny().trial_id


ALIKE = [
    # what only a sandwich has, so that a grid of variants and of these trains every baseline once
    ({"sandwich_ffn": 19}, {}),
    ({"sandwich_skip": False}, {}),
    ({"variant": "sandwich", "ffn": 24, "sandwich_ffn": 0},
     {"variant": "sandwich", "ffn": 24, "sandwich_ffn": 24}),
    ({"late_weight_decay": 3.0}, {}),  # never comes
    ({"input_gate": False, "visible_below": 0.5}, {"input_gate": False}),
    ({"side": 16, "patch": 0}, {"side": 16, "patch": 16}),
    ({"decoder_1step": "mean"}, {"decoder_1step": "decoder"}),  # of one image
    ({"position": "rotary"}, {}),  # of one token
    ({"t_distribution": "uniform", "t_mean": 2.0, "t_std": 3.0}, {"t_distribution": "uniform"}),
    ({"t_clip": 0.1}, {}),  # of a loss that does not divide
    ({"grokfast_gain": 3.0, "muon_momentum": 0.9}, {}),
    ({"t_mean": -0.0}, {"t_mean": 0.0}),
    ({"weight_decay": 3}, {"weight_decay": 3.0}),
    ({"P": 11}, {"P": 11.0}),
]  # fmt: skip
APART = [
    ({"late_weight_decay": 3.0, "late_decay_from": 5}, {"late_decay_from": 5}),
    ({"N": 2, "decoder_1step": "mean"}, {"N": 2, "decoder_1step": "decoder"}),
]


@pytest.mark.parametrize(
    ("one", "other", "same"), [*((*c, True) for c in ALIKE), *((*c, False) for c in APART)]
)
def test_what_makes_no_difference_makes_no_other_trial(one, other, same):
    one, other = tiny(**one), tiny(**other)
    assert (one == other) == (one.trial_id == other.trial_id) == same
    assert one.shape == other.shape


def test_what_a_config_remembers_is_no_part_of_it_nor_of_a_copy():
    """Id and shape are worked out once; a config that has done so is still equal to a new one."""
    asked, fresh = tiny(), tiny()
    assert asked.trial_id
    assert asked.shape
    assert asked == fresh
    assert hash(asked) == hash(fresh)
    assert repr(asked) == repr(fresh)
    assert asked.to_dict() == dataclasses.asdict(asked) == fresh.to_dict()
    assert list(asked.to_dict()) == list(FIELDS)
    copy = dataclasses.replace(asked, width=32)
    assert copy.trial_id == tiny(width=32).trial_id != asked.trial_id
    assert copy.shape.width == 32
    for name in ("P", "trial_id", "shape"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(asked, name, 5)
    pickled = pickle.loads(pickle.dumps(asked))
    assert (pickled, pickled.trial_id, pickled.shape) == (asked, asked.trial_id, asked.shape)


def test_a_config_survives_a_dict_and_json():
    for config in (tiny(**OTHER_VALUE), tiny(lr=1 / 3, t_mean=math.pi)):
        back = TrialConfig.from_dict(json.loads(json.dumps(config.to_dict())))
        assert (back, back.trial_id) == (config, config.trial_id)


def test_an_unknown_key_is_named_with_the_fields_there_are():
    with pytest.raises(ConfigError, match=r"wight_decay.*weight_decay") as caught:
        TrialConfig.from_dict({"wight_decay": 3})
    assert (caught.value.field, caught.value.value) == ("wight_decay", 3)


def test_tokens_cover_the_image():
    config = tiny(side=16, patch=4)
    assert config.tokens_per_image == config.shape.tokens_per_image == 16
    assert config.shape.tokens_per_image * config.shape.token_dim == 16 * 16
