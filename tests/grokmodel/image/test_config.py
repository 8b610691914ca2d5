import dataclasses
import hashlib
import json
import math
import pickle

import numpy as np
import pytest

from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.errors import ConfigError
from grokmodel.image.config import FIELDS, PackShape, TrialConfig
from tests.grokmodel.tiny import fields_of_type, tiny

GOLDEN_TRIAL_ID = "4aa5aafe121ed158"
OTHER_TRIAL = {"op": "div", "data": "emnist", "P": 97, "train_fraction": 1 / 3, "lr": 1e-16}
OTHER_TRIAL_ID = "cdd8f3c1332fa6b5"
WHEN_TO_UPDATE = (
    "the trial_id of a stored config has changed, so every stored trial would run again. Update "
    "the ids only if that is meant: SCIENCE_VERSION was raised, or a field or default was changed."
)
OTHER_VALUE = {
    "op": "mul",
    "data": "emnist",
    "images_hash": "0123456789abcdef",
    "P": 11,
    "N": 2,
    "train_fraction": 0.51,
    "alphabet": "distinct",
    "split": "unordered",
    "side": 16,
    "patch": 4,
    "width": 18,
    "depth": 2,
    "heads": 2,
    "ffn": 17,
    "variant": "sandwich",
    "sandwich_ffn": 19,
    "sandwich_skip": False,
    "norm": "pre",
    "activation": "swiglu",
    "init_scale": 0.77,
    "input_gate": False,
    "visible_below": 0.77,
    "precision": "bfloat16",
    "loss": "velocity",
    "t_distribution": "uniform",
    "t_mean": 0.77,
    "t_std": 0.77,
    "t_levels": 4,
    "t_clip": 0.077,
    "sample_steps": 7,
    "final_sample_steps": 77,
    "decoder_1step": "decoder",
    "batch": 64,
    "steps": 40,
    "lr": 0.077,
    "warmup": 7,
    "cooldown": 7,
    "weight_decay": 0.77,
    "late_decay_from": 7,
    "late_weight_decay": 0.77,
    "beta1": 0.77,
    "beta2": 0.77,
    "ema": 0.77,
    "eval_every": 10,
    "eval_pairs": 77,
    "seed": 77,
}
ONLY_OF_A_SANDWICH = ("sandwich_ffn", "sandwich_skip")


def changed_in(field):
    """A config with another value of a field, and the same one without."""
    base = {"variant": "sandwich"} if field in ONLY_OF_A_SANDWICH else {}
    base |= {"N": 2} if field == "decoder_1step" else {}
    base |= {"late_decay_from": 5} if field == "late_weight_decay" else {}
    return tiny(**base, **{field: OTHER_VALUE[field]}), tiny(**base)


# --- identity -------------------------------------------------------------------------------------


def test_the_default_config_has_the_trial_id_of_the_stored_results():
    assert TrialConfig().trial_id == GOLDEN_TRIAL_ID, WHEN_TO_UPDATE


def test_another_config_has_the_trial_id_of_the_stored_results():
    """With floats whose text is long, and numbers that need an exponent."""
    assert TrialConfig(**OTHER_TRIAL).trial_id == OTHER_TRIAL_ID, WHEN_TO_UPDATE


def test_the_id_is_a_hash_of_all_fields():
    config = tiny()
    fields = dict(sorted(dataclasses.asdict(config).items()))
    text = json.dumps({"science_version": SCIENCE_VERSION, **fields}, separators=(",", ":"))
    assert config.trial_id == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_other_images_are_another_trial():
    bound, other = (tiny().with_images(16 * digit) for digit in "01")
    assert len({tiny().trial_id, bound.trial_id, other.trial_id}) == 3
    assert bound == tiny(images_hash=16 * "0")
    assert bound.shape is tiny().shape


def test_one_image_a_symbol_has_one_decoder():
    """So that a trial of one image has one id, whatever reads its samples of one step."""
    assert tiny(decoder_1step="mean") == tiny(decoder_1step="decoder")
    assert tiny(N=2) == tiny(N=2, decoder_1step="mean") != tiny(N=2, decoder_1step="decoder")


def test_equal_configs_have_equal_ids():
    assert tiny().trial_id == tiny().trial_id


def test_this_suite_varies_every_field():
    assert set(OTHER_VALUE) == {f.name for f in dataclasses.fields(TrialConfig)}


@pytest.mark.parametrize("field", OTHER_VALUE)
def test_the_id_changes_with_every_field(field):
    changed, base = changed_in(field)
    assert getattr(changed, field) == OTHER_VALUE[field] != getattr(base, field)
    assert changed.trial_id != base.trial_id


def test_ids_of_a_large_grid_are_all_different():
    grid = [
        tiny(P=P, N=N, lr=lr, seed=s)
        for P in (5, 7)
        for N in (1, 2)
        for lr in (1, 2)
        for s in range(20)
    ]
    assert len({c.trial_id for c in grid}) == len(grid)


@pytest.mark.parametrize("field", fields_of_type("int"))
def test_an_int_field_takes_lossless_numbers_of_any_type(field):
    value = getattr(tiny(), field)
    for same in (float(value), np.int64(value), np.int32(value), np.float64(value)):
        config = tiny(**{field: same})
        assert type(getattr(config, field)) is int
        assert config.trial_id == tiny().trial_id


@pytest.mark.parametrize("field", fields_of_type("float"))
def test_a_float_field_takes_numpy_scalars(field):
    value = getattr(tiny(), field)
    config = tiny(**{field: np.float64(value)})
    assert type(getattr(config, field)) is float
    assert config.trial_id == tiny().trial_id


def test_an_int_and_the_float_that_equals_it_are_the_same_trial():
    assert tiny(weight_decay=3).trial_id == tiny(weight_decay=3.0).trial_id
    assert tiny(P=11).trial_id == tiny(P=11.0).trial_id


def test_minus_zero_and_zero_are_the_same_trial():
    assert tiny(t_mean=-0.0) == tiny(t_mean=0.0)
    assert tiny(t_mean=-0.0).trial_id == tiny(t_mean=0.0).trial_id


def test_patch_zero_stands_for_the_side():
    assert tiny(side=16, patch=0).patch == 16
    assert tiny(side=16, patch=0).trial_id == tiny(side=16, patch=16).trial_id


def test_a_sandwich_has_one_id_however_its_own_ffn_is_given():
    as_wide = [tiny(variant="sandwich", ffn=24, sandwich_ffn=width) for width in (0, 24)]
    assert len({c.trial_id for c in as_wide}) == len({c.shape for c in as_wide}) == 1


@pytest.mark.parametrize("field", ONLY_OF_A_SANDWICH)
def test_what_only_a_sandwich_has_makes_no_other_trial_of_the_baseline(field):
    """So that a grid of variants and of these trains every baseline once."""
    assert tiny(**{field: OTHER_VALUE[field]}) == tiny()


def test_a_late_decay_that_never_comes_makes_no_other_trial():
    assert tiny(late_weight_decay=3.0) == tiny()
    assert tiny(late_weight_decay=3.0, late_decay_from=5) != tiny(late_decay_from=5)


def test_without_an_input_gate_there_is_no_level_at_which_it_opens():
    assert tiny(input_gate=False, visible_below=0.5) == tiny(input_gate=False)


@pytest.mark.parametrize("name", ["P", "trial_id", "shape"])
def test_a_config_cannot_be_changed(name):
    config = tiny()
    assert config.trial_id
    assert config.shape
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, 5)


def test_what_a_config_remembers_is_no_part_of_it():
    """Id and shape are worked out once; a config that has done so is still equal to a new one."""
    asked, fresh = tiny(), tiny()
    assert asked.trial_id
    assert asked.shape
    assert asked == fresh
    assert hash(asked) == hash(fresh)
    assert repr(asked) == repr(fresh)
    assert asked.to_dict() == dataclasses.asdict(asked) == fresh.to_dict()
    assert list(asked.to_dict()) == list(FIELDS)


def test_a_changed_copy_forgets_what_the_config_remembers():
    config = tiny()
    assert config.trial_id
    assert config.shape
    copy = dataclasses.replace(config, width=32)
    assert copy.trial_id == tiny(width=32).trial_id != config.trial_id
    assert copy.shape.width == 32


# --- round trip -----------------------------------------------------------------------------------


def test_to_dict_and_back_is_the_same_config():
    config = tiny(**OTHER_VALUE)
    assert TrialConfig.from_dict(config.to_dict()) == config


def test_a_config_survives_json():
    config = tiny(lr=1 / 3, t_mean=math.pi)
    assert (
        TrialConfig.from_dict(json.loads(json.dumps(config.to_dict()))).trial_id == config.trial_id
    )


@pytest.mark.parametrize("asked", [False, True])
def test_a_config_survives_pickling(asked):
    config = tiny(lr=1 / 3)
    if asked:
        assert config.trial_id
        assert config.shape
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert (copy.trial_id, copy.shape) == (config.trial_id, config.shape)
    assert copy.to_dict() == config.to_dict()


def test_an_unknown_key_is_named_with_the_fields_there_are():
    with pytest.raises(ConfigError, match=r"wight_decay.*weight_decay") as caught:
        TrialConfig.from_dict({"wight_decay": 3})
    assert (caught.value.field, caught.value.value) == ("wight_decay", 3)


# --- pack shape -----------------------------------------------------------------------------------


@pytest.mark.parametrize("field", OTHER_VALUE)
def test_the_pack_shape_changes_with_its_own_fields_only(field):
    of_shape = field in {f.name for f in dataclasses.fields(PackShape)}
    changed, base = changed_in(field)
    assert (changed.shape != base.shape) == of_shape


def test_trials_of_a_shape_share_one_object():
    assert tiny(seed=1).shape is tiny(seed=2).shape


def test_tokens_cover_the_image():
    config = tiny(side=16, patch=4)
    assert config.tokens_per_image == config.shape.tokens_per_image == 16
    assert config.shape.tokens_per_image * config.shape.token_dim == 16 * 16
