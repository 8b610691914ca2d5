"""What was not learned by the last step is told as that: it is neither never nor left out."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.tables import clocks
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config


def trials(steps, last=3000, **fields):
    """Rows with a strict step each, None: not learned."""
    rows = [finished_row(tiny_config(seed=i)) for i in range(len(steps))]
    lasts = last if isinstance(last, list) else [last] * len(steps)
    changes = [{"val_step_strict": s, "steps_run": n, **fields} for s, n in zip(steps, lasts)]
    return pd.DataFrame([row | change for row, change in zip(rows, changes)])


def words(steps, last=3000, **fields):
    return str(clocks.median(clocks.clock(trials(steps, last, **fields), "val_step_strict")))


@pytest.mark.parametrize(
    ("steps", "last", "expected"),
    [
        ([100, 200, 300], 3000, "200"),
        ([100, 200], 3000, "150"),
        ([None], 3000, "not by 3,000"),
        ([None, None], [3000, 1000], "not by 1,000 to 3,000"),
        ([100, 200, None], 3000, "200 (2 of 3)"),
        ([100, None, None], 3000, "> 3,000 (1 of 3)"),
        ([1000, None], 3000, "> 2,000 (1 of 2)"),  # half-way to a step after 3,000
        ([1500, None, None], [3000, 1000, 2000], ">= 1,500 (1 of 3)"),  # it may be 1,500
        ([1500, 2000, None], [3000, 3000, 1000], "1,500 to 2,000 (2 of 3)"),
    ],
)
def test_a_median_is_of_all_trials(steps, last, expected):
    assert words(steps, last) == expected


def test_without_strict_pairs_there_is_no_clock_at_all():
    assert words([None, None], val_acc_strict=None) == "-"
    mixed = pd.concat([trials([None], val_acc_strict=None), trials([500])])
    assert str(clocks.median(clocks.clock(mixed, "val_step_strict"))) == "500"
    assert clocks.cells(mixed, "val_step_strict") == [None, "500"]
    assert clocks.cells(trials([None]), "val_step_strict") == ["> 3000"]
    assert clocks.cells(trials([None]), "tau_mem") == [None]  # one image: nothing to copy
    assert clocks.cells(trials([None], N=4, tau_mem=None), "tau_mem") == ["> 3000"]
    assert clocks.cells(trials([None], family="rules"), "tau_mem") == ["> 3000"]


def test_a_lag_is_of_trials_that_learned_the_training_pairs():
    frame = trials([1500, None, None])
    frame["train_step"] = [500, 1000, None]
    median = clocks.median(clocks.lag(frame))
    assert (median.known, median.size) == (1, 2)
    assert median.words == "> 1,500"  # between 1,000 and what is above 2,000


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=9),
    st.lists(st.integers(0, 100), min_size=9, max_size=9),
)
def test_the_median_of_what_training_on_would_bring_is_in_the_bounds(pairs, waits):
    """Whatever comes after the last step, a step later or never."""
    truth = [step if step <= last else last + 1 + (wait if wait < 50 else math.inf)
             for (step, last), wait in zip(pairs, waits)]  # fmt: skip
    seen = pd.DataFrame({"val_acc_strict": 0.5, "steps_run": [last for _, last in pairs],
                         "val_step_strict": [s if s <= n else None for s, n in pairs]})  # fmt: skip
    median = clocks.median(clocks.clock(seen, "val_step_strict"))
    true = pd.Series(truth, dtype=float).median()
    assert median.low <= true <= median.high
    if median.words.startswith("> "):
        assert true > median.low
