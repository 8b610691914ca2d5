import dataclasses
import subprocess
import sys

import pytest

from grokmodel.core.fields import fields_of
from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from grokmodel.tokens.config import FIELDS, TokensConfig, TokensShape
from tests.grokmodel.tokens.tiny import tiny


def test_the_defaults_are_those_of_the_paper():
    config = TokensConfig()
    assert (config.family, config.op, config.P, config.train_fraction) == (
        "tokens",
        "add",
        113,
        0.3,
    )
    assert (config.width, config.heads, config.ffn, config.activation) == (128, 4, 512, "relu")
    assert (config.lr, config.warmup, config.weight_decay) == (1e-3, 10, 1.0)
    assert (config.beta1, config.beta2, config.optimizer) == (0.9, 0.98, "adamw")
    assert config.ema == 0.0, "the raw weights are evaluated"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("family", "image"),
        ("op", "pow"),
        ("P", 2),
        ("P", 258),
        ("train_fraction", 1.0),
        ("split", "sorted"),
        ("width", 0),
        ("width", 16_386),
        ("heads", 3),  # of width 8
        ("ffn", 0),
        ("ffn", 1.5),
        ("activation", "swiglu"),
        ("init_scale", 0.0),
        ("ema", 1.0),
        ("steps", 21),  # evaluated every 5
        ("eval_every", 0),
    ],
)
def test_a_bad_value_is_refused_by_name(field, value):
    with pytest.raises(ConfigError) as caught:
        tiny(**{field: value})
    assert caught.value.field == field
    assert str(value) in str(caught.value)


def test_division_needs_a_prime():
    with pytest.raises(ConfigError, match=r"P.*prime"):
        tiny(op="div", P=9)
    assert tiny(op="div", P=11).P == 11


def test_the_shape_is_one_object_and_changes_with_its_own_fields_alone():
    other = {"P": 11, "width": 16, "heads": 4, "ffn": 13, "activation": "gelu",
             "optimizer": "muon", "eval_every": 10}  # fmt: skip
    assert set(other) == {f.name for f in dataclasses.fields(TokensShape)}
    for field, value in other.items():
        assert tiny(**{field: value}).shape != tiny().shape
    free = {
        "op": "mul",
        "seed": 2,
        "lr": 0.1,
        "train_fraction": 0.3,
        "steps": 40,
        "init_scale": 2.0,
    }
    assert tiny(**free).shape is tiny().shape
    assert tiny(**free).trial_id != tiny().trial_id


def test_shared_fields_are_declared_as_by_the_image_model():
    others = fields_of(TrialConfig)
    for name in ("op", "train_fraction", "split", "width", "heads", "P", "init_scale"):
        assert FIELDS[name].type is others[name].type
        assert FIELDS[name].unit == others[name].unit
        assert FIELDS[name].choices == others[name].choices


def test_a_config_survives_a_dict():
    assert TokensConfig.from_dict(tiny().to_dict()) == tiny()
    assert list(tiny().to_dict()) == list(FIELDS)


def test_a_config_needs_no_torch():
    program = (
        "import sys, grokmodel.tokens.config; assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
