import math

import numpy as np
import pytest

from grokmodel.errors import ConfigError
from grokmodel.image.config import FIELDS, is_prime
from tests.grokmodel.tiny import fields_of_type, tiny

CHOICES = {name: field.choices for name, field in FIELDS.items() if field.choices}
OUT_OF_RANGE = [
    ("P", 2, "from 3 to 256"),
    ("N", 0, "from 1 to"),
    ("side", 7, "from 8 to 64"),
    ("side", 65, "from 8 to 64"),
    ("patch", -1, "from 0 to"),
    ("patch", 3, "a divisor of side = 8"),
    ("width", 0, "from 2 to"),
    ("width", 17, "even"),
    ("depth", 0, "from 1 to 8"),
    ("depth", 9, "from 1 to 8"),
    ("heads", 0, "from 1 to"),
    ("heads", 3, "a divisor of width = 16"),
    ("ffn", 0, "from 1 to"),
    ("sandwich_ffn", -1, "from 0 to"),
    ("train_fraction", 0.0, "inside (0, 1)"),
    ("train_fraction", 1.0, "inside (0, 1)"),
    ("visible_below", 0.0, "in (0, 1]"),
    ("visible_below", 1.01, "in (0, 1]"),
    ("t_clip", 0.0, "inside (0, 1)"),
    ("t_clip", 1.0, "inside (0, 1)"),
    ("beta1", 1.0, "in [0, 1)"),
    ("beta2", -0.1, "in [0, 1)"),
    ("ema", 1.0, "in [0, 1)"),
    ("lr", 0.0, "above 0"),
    ("init_scale", -1.0, "above 0"),
    ("t_std", 0.0, "above 0"),
    ("weight_decay", -1.0, "0 or more"),
    ("late_weight_decay", -1.0, "0 or more"),
    ("late_decay_from", -1, "from 0 to"),
    ("batch", 0, "from 1 to"),
    ("t_levels", 0, "from 1 to"),
    ("t_levels", 5, "a divisor of batch = 32"),
    ("sample_steps", 0, "from 1 to"),
    ("final_sample_steps", 0, "from 1 to"),
    ("steps", 0, "from 1 to"),
    ("steps", 21, "a multiple of eval_every = 5"),
    ("eval_every", 0, "from 1 to"),
    ("eval_pairs", 0, "from 1 to"),
    ("warmup", -1, "from 0 to"),
    ("cooldown", -1, "from 0 to"),
    ("cooldown", 21, "at most steps = 20; 0 is none"),
    ("seed", -1, "from 0 to 2147483646"),
]


def test_a_decay_that_leaves_no_weights_cannot_be_followed_by_another():
    late = {"late_decay_from": 5, "late_weight_decay": 1.0}
    assert tiny(lr=0.5, weight_decay=2.0).weight_decay == 2.0
    assert tiny(lr=0.5, weight_decay=1.99, **late).weight_decay == 1.99
    error = error_of(lr=0.5, weight_decay=2.0, **late)
    assert (error.field, error.value) == ("weight_decay", 2.0)
    assert "below 1 / lr = 2" in str(error)


def error_of(**changes):
    with pytest.raises(ConfigError) as caught:
        tiny(**changes)
    return caught.value


@pytest.mark.parametrize(("field", "value", "allowed"), OUT_OF_RANGE)
def test_a_number_out_of_range_is_named_with_its_range(field, value, allowed):
    error = error_of(**{field: value})
    assert (error.field, error.value) == (field, value)
    assert field in str(error)
    assert repr(value) in str(error)
    assert allowed in str(error)


@pytest.mark.parametrize("field", CHOICES)
def test_an_unknown_choice_is_named_with_every_choice(field):
    error = error_of(**{field: "nonsense"})
    assert (error.field, error.value) == (field, "nonsense")
    assert f"{field} = 'nonsense'" in str(error)
    assert all(choice in str(error) for choice in CHOICES[field])


@pytest.mark.parametrize("field", CHOICES)
def test_every_choice_is_accepted(field):
    for choice in CHOICES[field]:
        assert getattr(tiny(N=2, **{field: choice}), field) == choice


@pytest.mark.parametrize("field", fields_of_type("float"))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "0.5", None, True, [0.5], 0.5j])
def test_a_float_field_refuses_what_is_no_finite_number(field, value):
    error = error_of(**{field: value})
    assert error.field == field
    assert repr(value) in str(error)


@pytest.mark.parametrize("field", fields_of_type("int"))
@pytest.mark.parametrize("value", [1.5, math.nan, math.inf, "8", None, True, np.arange(3)])
def test_an_int_field_refuses_what_is_no_whole_number(field, value):
    error = error_of(**{field: value})
    assert error.field == field
    assert "int" in str(error)


@pytest.mark.parametrize("field", fields_of_type("bool"))
@pytest.mark.parametrize("value", [0, 1.0, "true", None])
def test_a_bool_field_refuses_all_but_bools(field, value):
    assert error_of(**{field: value}).field == field


@pytest.mark.parametrize("field", fields_of_type("str"))
@pytest.mark.parametrize("value", [0, None, b"add", ["add"]])
def test_a_str_field_refuses_all_but_strings(field, value):
    assert error_of(**{field: value}).field == field


@pytest.mark.parametrize("P", [4, 6, 9, 15, 21, 25])
def test_division_needs_a_prime(P):
    error = error_of(op="div", P=P)
    assert (error.field, error.value) == ("P", P)
    assert "prime" in str(error)
    assert "div" in str(error)
    assert tiny(op="add", P=P).P == P


@pytest.mark.parametrize("P", [3, 5, 7, 23, 31, 97])
def test_division_takes_every_prime(P):
    assert tiny(op="div", P=P).P == P


def test_is_prime_agrees_with_the_definition():
    by_definition = [n for n in range(2, 200) if not any(n % k == 0 for k in range(2, n))]
    assert [n for n in range(200) if is_prime(n)] == by_definition


@pytest.mark.parametrize("seed", [2**31 - 1, 2**64, 10**30])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    assert error_of(seed=seed).field == "seed"
