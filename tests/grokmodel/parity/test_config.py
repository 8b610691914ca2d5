import pytest

from grokmodel.errors import ConfigError
from grokmodel.parity.config import ParityConfig
from tests.grokmodel.parity.tiny import tiny


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hidden": 0}, "hidden"),
        ({"gain": -0.1}, "gain"),
        ({"train_fraction": 0.0}, "train_fraction"),
        ({"train_fraction": 1.01}, "train_fraction"),
        ({"max_length": 15}, "max_length"),
        ({"val_length": 4}, "val_length"),
        ({"batch": 0}, "batch"),
        ({"batches": "sorted"}, "batches"),
        ({"optimizer": "adagrad"}, "optimizer"),
        ({"family": "image"}, "family"),
        ({"steps": 41}, "steps"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(changes, field):
    with pytest.raises(ConfigError) as caught:
        tiny(**changes)
    assert (caught.value.field, caught.value.value) == (field, changes[field])


def test_the_defaults_are_the_setting_of_the_paper():
    c = ParityConfig()
    assert (c.hidden, c.gain, c.max_length, c.train_fraction) == (100, 0.1, 10, 1.0)
    assert (c.lr, c.batch, c.steps, c.val_length, c.val_sequences) == (0.02, 128, 21_000, 50, 100)


def test_what_sgd_has_no_use_for_makes_no_other_trial():
    others = {"beta1": 0.5, "beta2": 0.9, "muon_momentum": 0.1, "grokfast_gain": 9.0}
    assert tiny(**others).trial_id == tiny().trial_id
    assert tiny(weight_decay=3.0).trial_id != tiny().trial_id


def test_configs_that_differ_in_data_alone_share_a_shape():
    assert tiny(gain=0.3, train_fraction=0.5, seed=7, batches="mixed").shape is tiny().shape
    assert tiny(hidden=9).shape != tiny().shape


def test_a_config_survives_a_dict():
    config = tiny(gain=0.3)
    assert ParityConfig.from_dict(config.to_dict()) == config
