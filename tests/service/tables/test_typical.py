"""The trial that stands for a phase is one like the others."""

import pandas as pd
import pytest

from grokmodel.core.outcome import PHASES
from service.tables.typical import MEASURES, representatives


def trials(phase, column, values):
    row = {"phase": phase, "train_acc": 0.5, "val_acc_strict": 0.5, "val_step_strict": 100.0}
    return pd.DataFrame([{**row, "trial_id": f"t{i}", column: v} for i, v in enumerate(values)])


def test_a_memorizer_that_all_but_grokked_stands_for_none():
    found = trials("memorization", "val_acc_strict", [0.955, 0.2, 0.3, 0.1, 0.25])
    assert representatives(found) == ["t4"]


@pytest.mark.parametrize("phase", PHASES)
def test_it_is_the_median_of_its_phase_whatever_the_order_of_rows(phase):
    column = MEASURES[phase][0]
    found = trials(phase, column, [5.0, 1.0, 3.0, 2.0, 4.0])
    assert representatives(found) == representatives(found[::-1]) == ["t2"]
    assert representatives(found[:4]) == ["t3"]  # the lower of two
    found[column] = 500.0  # equals are in the order of their ids
    assert representatives(found.sample(frac=1, random_state=1)) == ["t2"]


def test_what_was_not_measured_stands_for_none_unless_it_was_in_none():
    found = trials("memorization", "val_acc_strict", [None, None, None, 0.3])
    assert representatives(found) == ["t3"]
    assert representatives(found[:3]) == ["t1"]


def test_phases_come_in_their_order():
    found = pd.concat([trials(phase, "train_acc", [1.0]) for phase in ("grokking", "confusion")])
    assert representatives(found.assign(trial_id=["g", "c"])) == ["c", "g"]
