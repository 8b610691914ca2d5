"""Where one stage of training ends and the next begins."""

import pandas as pd
import pytest

from service.report.training_figure import stages

STEPS = [0, 100, 200, 400, 800, 1600]


def progress(strict_loss):
    return pd.DataFrame({"step": STEPS, "strict_loss": strict_loss})


@pytest.mark.parametrize("never", [None, float("nan")])
def test_what_is_never_learned_is_memorization_to_the_end(never):
    assert stages({"train_step": never}, progress([1.0] * 6)) == [("memorization", 0, 1600)]


def test_clean_up_begins_when_the_strict_loss_has_come_down_to_half_of_its_highest():
    found = stages({"train_step": 150}, progress([1.0, 1.4, 1.6, 1.5, 0.7, 0.2]))
    assert found == [
        ("memorization", 0, 150),
        ("circuit formation", 150, 800),
        ("clean-up", 800, 1600),
    ]


def test_a_memorizer_never_cleans_up():
    found = stages({"train_step": 150}, progress([1.0, 1.4, 1.6, 1.7, 1.8, 1.9]))
    assert found == [("memorization", 0, 150), ("circuit formation", 150, 1600)]


def test_a_loss_that_has_fallen_before_the_pairs_are_learned_leaves_no_circuit_formation():
    found = stages({"train_step": 400}, progress([1.0, 0.9, 0.4, 0.3, 0.2, 0.1]))
    assert found == [("memorization", 0, 400), ("clean-up", 400, 1600)]


def test_without_strict_pairs_there_is_no_clean_up():
    found = stages({"train_step": 400}, progress([float("nan")] * 6))
    assert found == [("memorization", 0, 400), ("circuit formation", 400, 1600)]
