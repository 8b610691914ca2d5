"""What people read says what the numbers are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.text import (
    byte_size,
    config_value,
    count,
    duration,
    measured,
    one_line,
    percent,
    reason,
    spread,
    table_cell,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (119, "119 s"), (170, "3 min"), (1200, "20 min"), (7199, "120 min"),
     (3 * 3600, "3 h"), (12_600, "3.5 h"), (4e5, "4.6 days"), (86_400 * 1200, "1,200 days")],
)  # fmt: skip
def test_a_duration_is_in_the_largest_unit_of_which_there_are_two(seconds, words):
    assert duration(seconds) == words


def test_sizes_are_in_powers_of_a_thousand():
    assert [byte_size(n) for n in (0, 999, 1500, 2.5e9)] == ["0 B", "999 B", "1.5 kB", "2.5 GB"]


def test_one_is_singular_and_all_others_are_not():
    assert [count(n, "trial") for n in (0, 1, 2000)] == ["0 trials", "1 trial", "2,000 trials"]
    assert [count(n, "analysis", "analyses") for n in (1, 2)] == ["1 analysis", "2 analyses"]


@given(st.floats(allow_nan=False))
def test_a_setting_reads_back_equal(value):
    assert float(config_value(value)) == value
    assert len(config_value(value)) <= len(repr(value))


def test_a_setting_is_short():
    values = (3.0, 0.3, 1e-05, np.float64(0.1) + 0.2, 23, "pre", True)
    shown = ["3", "0.3", "1e-05", "0.30000000000000004", "23", "pre", "True"]
    assert [config_value(value) for value in values] == shown


def test_shares_are_in_percent():
    assert [percent(0.5), percent(0.196, 1)] == ["50 %", "19.6 %"]


def test_a_bar_in_a_cell_ends_no_cell():
    assert table_cell("a|b") == "a\\|b"


def test_a_measurement_has_the_digits_that_one_wants_to_read():
    values = (None, float("nan"), 5, 2.0, 0.98765, 1234.5, 0.00012345, False, "grokking")
    shown = ["", "", "5", "2", "0.988", "1.23e+03", "0.000123", "False", "grokking"]
    assert [measured(value) for value in values] == shown


def test_numbers_are_median_and_range():
    assert spread(pd.Series([1.0, 3.0, 2.0])) == "2.00 (1.00 to 3.00)"
    assert spread([1000, None, 2500], 0) == "1,750 (1,000 to 2,500) in 2 of 3"
    assert spread([1.0]) == "1.00"
    assert spread([None, float("nan")]) == "-"
    assert spread(pd.Series([None, None], dtype=float), none="never") == "never"


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
