import math

import numpy as np
import pytest

from grokmodel.data.names import is_prime
from grokmodel.errors import ConfigError
from grokmodel.image.config import FIELDS
from tests.grokmodel.tiny import fields_of_type, tiny

CHOICES = {name: field.choices for name, field in FIELDS.items() if field.choices}


def just_outside(field):
    """Numbers next to the declared range."""
    low, high = field.bounds.low, field.bounds.high
    if field.type is int:
        return low - 1, high + 1
    return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)


BOUNDED = [field for field in FIELDS.values() if field.bounds]
OUT_OF_RANGE = [
    ("P", 2, "from 3 to 256"),
    ("side", 65, "from 8 to 64"),
    ("train_fraction", 0.0, "inside (0, 1)"),
    ("visible_below", 1.01, "in (0, 1]"),
    ("beta2", -0.1, "in [0, 1)"),
    ("lr", 0.0, "above 0"),
    ("weight_decay", -1.0, "0 or more"),
    ("seed", 10**30, "from 0 to 2147483646"),
    ("patch", 3, "a divisor of side = 8"),
    ("width", 17, "even"),
    ("heads", 3, "a divisor of width = 16"),
    ("t_levels", 5, "a divisor of batch = 32"),
    ("steps", 21, "a multiple of eval_every = 5"),
    ("cooldown", 21, "at most steps = 20; 0 is none"),
    *((field.name, value, field.allowed) for field in BOUNDED for value in just_outside(field)),
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
    assert f"{field} = {value!r} " in str(error)
    assert allowed in str(error)


@pytest.mark.parametrize("field", CHOICES)
def test_an_unknown_choice_is_named_with_every_choice(field):
    error = error_of(**{field: "nonsense"})
    assert (error.field, error.value) == (field, "nonsense")
    assert f"{field} = 'nonsense'" in str(error)
    assert all(choice in str(error) for choice in CHOICES[field])


WRONG_TYPES = {
    "float": [math.nan, math.inf, -math.inf, "0.5", None, True, [0.5], 0.5j],
    "int": [1.5, math.nan, math.inf, "8", None, True, np.arange(3)],
    "bool": [0, 1.0, "true", None],
    "str": [0, None, b"add", ["add"]],
}


@pytest.mark.parametrize("kind", WRONG_TYPES)
def test_a_field_refuses_values_of_another_type(kind):
    for field in fields_of_type(kind):
        for value in WRONG_TYPES[kind]:
            error = error_of(**{field: value})
            assert error.field == field
            assert repr(value) in str(error)


@pytest.mark.parametrize("P", [3, 4, 6, 7, 9, 15, 23, 25, 97])
def test_division_needs_a_prime(P):
    assert tiny(op="add", P=P).P == P
    if is_prime(P):
        assert tiny(op="div", P=P).P == P
    else:
        error = error_of(op="div", P=P)
        assert (error.field, error.value) == ("P", P)
        assert "a prime for op = 'div'" in str(error)


def test_is_prime_agrees_with_the_definition():
    by_definition = [n for n in range(2, 200) if not any(n % k == 0 for k in range(2, n))]
    assert [n for n in range(200) if is_prime(n)] == by_definition
