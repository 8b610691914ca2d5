"""What people read says what the numbers are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import text
from service.text import config_value, count, duration, one_line, reason, spread


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (119, "119 s"), (170, "3 min"), (1200, "20 min"), (7199, "120 min"),
     (3 * 3600, "3 h"), (12_600, "3.5 h"), (4e5, "4.6 days"), (86_400 * 1200, "1,200 days")],
)  # fmt: skip
def test_a_duration_is_in_the_largest_unit_of_which_there_are_two(seconds, words):
    assert duration(seconds) == words


NAN = float("nan")
SHOWN = [
    ("byte_size", (0, 999, 1500, 2.5e9), ["0 B", "999 B", "1.5 kB", "2.5 GB"]),
    ("config_value", (3.0, 0.3, 1e-05, np.float64(0.1) + 0.2, 23, "pre", True),
     ["3", "0.3", "1e-05", "0.30000000000000004", "23", "pre", "True"]),
    ("measured", (None, NAN, 5, 2.0, 0.98765, 1234.5, 0.00012345, False, "grokking"),
     ["", "", "5", "2", "0.988", "1.23e+03", "0.000123", "False", "grokking"]),
    ("percent", (0.5, 0.196), ["50 %", "20 %"]),
    ("table_cell", ("a|b",), ["a\\|b"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "shown"), SHOWN)
def test_a_value_has_the_digits_that_one_wants_to_read(name, values, shown):
    assert [getattr(text, name)(value) for value in values] == shown


def test_one_is_singular_and_all_others_are_not():
    assert [count(n, "trial") for n in (0, 1, 2000)] == ["0 trials", "1 trial", "2,000 trials"]
    assert [count(n, "analysis", "analyses") for n in (1, 2)] == ["1 analysis", "2 analyses"]


@given(st.floats(allow_nan=False))
def test_a_setting_reads_back_equal(value):
    assert float(config_value(value)) == value
    assert len(config_value(value)) <= len(repr(value))


def test_numbers_are_median_and_range():
    assert spread(pd.Series([1.0, 3.0, 2.0])) == "2.00 (1.00 to 3.00)"
    assert spread([1000, None, 2500], 0) == "1,750 (1,000 to 2,500) in 2 of 3"
    assert spread([1.0]) == "1.00"
    assert spread([None, float("nan")]) == "-"
    assert spread(pd.Series([None, None], dtype=float)) == "-"


def test_an_error_is_its_first_line_without_passwords():
    assert one_line(RuntimeError("postgresql://me:hunter2@db lost\nand more")) == (
        "postgresql://me:***@db lost"
    )
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    long = one_line(ValueError("x" * 1000))
    assert (len(long), long[-4:]) == (300, "x...")


def test_the_reason_is_what_the_system_said():
    error = RuntimeError("Max retries exceeded")
    error.__cause__ = ConnectionRefusedError("Connection refused")
    assert (reason(error), one_line(error)) == ("Connection refused", "Max retries exceeded")
    assert reason(ValueError("no")) == "no"
