import math

import pytest

from grokmodel.core.outcome import (
    COMPREHENSION,
    CONFUSION,
    DIVERGED,
    EVALUATION_FIELDS,
    GROKKING,
    MEMORIZATION,
    PHASES,
    diverged,
    first_lasting,
    outcome,
    settled,
)
from tests.grokmodel.tiny import evaluation

NAN = math.nan
RATIO = 1.1
"""Divergence of the x0 loss."""


def curve(train, strict, val=None, every=500, **more):
    """Evaluations every 500 steps, one for each accuracy given."""
    val = strict if val is None else val
    return [
        evaluation(every * i, train[i], val[i], strict[i], **{k: v[i] for k, v in more.items()})
        for i in range(len(train))
    ]


# --- phases ---------------------------------------------------------------------------------------


def test_confusion_is_never_to_learn_the_training_pairs():
    found = outcome(curve(train=[0.1, 0.5, 0.94, 0.94, 0.94], strict=[0.0] * 5), RATIO)
    assert found.phase == CONFUSION
    assert (found.train_step, found.val_step, found.val_step_strict) == (None, None, None)


def test_memorization_is_to_learn_the_training_pairs_only():
    found = outcome(curve(train=[0.1, 1, 1, 1, 1], strict=[0.0, 0.1, 0.2, 0.3, 0.9]), RATIO)
    assert found.phase == MEMORIZATION
    assert (found.train_step, found.val_step_strict) == (500, None)


def test_grokking_is_to_learn_the_rule_late():
    found = outcome(curve(train=[0, 1, 1, 1, 1, 1], strict=[0, 0, 0.5, 0.95, 1, 1]), RATIO)
    assert found.phase == GROKKING
    assert (found.train_step, found.val_step_strict) == (500, 1500)


def test_comprehension_is_to_learn_the_rule_at_once():
    found = outcome(curve(train=[0, 1, 1, 1, 1], strict=[0, 0, 1, 1, 1]), RATIO)
    assert found.phase == COMPREHENSION
    assert (found.train_step, found.val_step_strict) == (500, 1000)


def test_a_long_wait_is_not_grokking_when_it_is_less_than_twice_the_time():
    train, strict = [0] * 4 + [1] * 6, [0] * 7 + [1] * 3
    found = outcome(curve(train, strict), RATIO)
    assert (found.train_step, found.val_step_strict) == (2000, 3500)
    assert found.phase == COMPREHENSION


def test_twice_the_time_is_not_grokking_when_it_is_less_than_a_thousand_steps():
    found = outcome(curve(train=[0, 1, 1, 1, 1, 1], strict=[0, 0, 0, 0, 1, 1, 1], every=100), RATIO)
    assert found.phase == MEMORIZATION  # not yet three in a row
    found = outcome(curve(train=[0] + [1] * 6, strict=[0] * 4 + [1] * 3, every=100), RATIO)
    assert (found.train_step, found.val_step_strict) == (100, 400)
    assert found.phase == COMPREHENSION


def test_learning_the_rule_before_the_training_pairs_is_comprehension():
    found = outcome(curve(train=[0, 0, 1, 1, 1], strict=[0, 1, 1, 1, 1]), RATIO)
    assert found.phase == COMPREHENSION


def test_grokking_rests_on_strict_pairs_and_not_on_all():
    found = outcome(curve(train=[0, 1, 1, 1, 1, 1], strict=[0] * 6, val=[0, 0, 0, 1, 1, 1]), RATIO)
    assert found.phase == MEMORIZATION
    assert (found.val_step, found.val_step_strict) == (1500, None)


def test_a_split_without_strict_pairs_is_no_grokking():
    found = outcome(
        curve(train=[0, 1, 1, 1, 1, 1], strict=[NAN] * 6, val=[0, 0, 0, 1, 1, 1]), RATIO
    )
    assert found.phase == MEMORIZATION
    assert found.val_step == 1500
    assert (found.val_step_strict, found.tau_rule) == (None, None)
    assert math.isnan(found.val_acc_strict)


@pytest.mark.parametrize("end", [NAN, math.inf, 1.01 * RATIO * 0.5, 9.0])
def test_diverged_is_to_end_without_a_loss_or_well_above_the_first(end):
    perfect = curve(train=[1] * 5, strict=[1] * 5, loss=[0.5, 0.1, 0.1, 0.1, end])
    assert diverged(perfect, RATIO)
    assert outcome(perfect, RATIO).phase == DIVERGED


@pytest.mark.parametrize("end", [0.99 * RATIO * 0.5, 0.5, 0.49, 0.0])
def test_ending_about_where_it_began_or_lower_is_not_diverged(end):
    assert not diverged(curve(train=[0] * 3, strict=[0] * 3, loss=[0.5, 9.0, end]), RATIO)


@pytest.mark.parametrize(("end", "phase"), [(2.0, CONFUSION), (9.0, DIVERGED), (NAN, DIVERGED)])
def test_the_first_batch_of_the_velocity_loss_may_lie_far_below_the_mean(end, phase):
    rows = curve(train=[0] * 3, strict=[0] * 3, loss=[0.5, 2.0, end])
    assert outcome(rows, 5.0).phase == phase
    assert outcome(rows, RATIO).phase == DIVERGED


def test_a_single_evaluation_is_confusion():
    found = outcome([evaluation(0)], RATIO)
    assert found.phase == CONFUSION
    assert found.steps_run == 0


def test_there_are_five_phases():
    assert set(PHASES) == {CONFUSION, MEMORIZATION, GROKKING, COMPREHENSION, DIVERGED}


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accuracies", "step"),
    [
        ([1, 1, 1], 0),
        ([0, 0.95, 0.95, 0.95], 1),
        ([0, 1, 1, 0, 1, 1, 1], 4),
        ([0, 1, 1, 0.949, 1, 1], None),
        ([1, 1], None),
        ([0, 1, 1, 1, 0, 0], 1),
        ([NAN, 1, 1, 1], 1),
        ([1, NAN, 1, 1], None),
    ],
)
def test_learned_means_three_evaluations_in_a_row(accuracies, step):
    rows = curve(train=accuracies, strict=[0] * len(accuracies), every=1)
    assert first_lasting(rows, "train_acc") == step


def test_tau_rule_is_the_first_step_with_nine_tenths_of_strict_pairs_right():
    found = outcome(curve(train=[1] * 5, strict=[0, 0.89, 0.9, 0.1, 1]), RATIO)
    assert found.tau_rule == 1000


def test_tau_mem_is_the_first_step_with_half_of_the_samples_copied():
    copies = [0.0, 0.49, 0.5, 0.2, 1.0]
    assert outcome(curve(train=[1] * 5, strict=[0] * 5, copies=copies), RATIO).tau_mem == 1000


def test_one_image_a_symbol_has_no_tau_mem():
    assert outcome(curve(train=[1] * 5, strict=[0] * 5, copies=[NAN] * 5), RATIO).tau_mem is None


def test_an_outcome_ends_with_the_last_row():
    rows = curve(train=[0.1, 0.2], strict=[0.3, 0.4], val=[0.5, 0.6])
    found = outcome(rows, RATIO)
    assert (found.steps_run, found.train_acc, found.val_acc, found.val_acc_strict) == (
        500,
        0.2,
        0.6,
        0.4,
    )


# --- settled --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strict", "is_settled"),
    [
        ([0.99] * 5, True),
        ([0, 0, 1, 1, 1, 1, 1], True),
        ([1] * 4, False),
        ([1, 1, 1, 1, 0.98], False),
        ([1, 1, 1, 1, 1, 0.9], False),
        ([NAN] * 9, False),
        ([], False),
    ],
)
def test_settled_means_full_strict_accuracy_five_times_in_a_row(strict, is_settled):
    assert settled(curve(train=[1] * len(strict), strict=strict)) == is_settled


@pytest.mark.parametrize(("train", "is_settled"), [(0.94, False), (0.95, True)])
def test_a_few_strict_pairs_that_are_right_do_not_end_a_trial_that_still_learns(train, is_settled):
    assert settled(curve(train=[0, 0, *[train] * 4], strict=[1] * 6)) == is_settled


def test_a_row_holds_every_measured_field():
    assert list(vars(evaluation(0))) == list(EVALUATION_FIELDS)
