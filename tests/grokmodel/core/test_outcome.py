import math

import pytest

from grokmodel.core.outcome import (
    COMPREHENSION,
    CONFUSION,
    DIVERGED,
    GROKKING,
    MEMORIZATION,
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


@pytest.mark.parametrize(
    ("train", "strict", "every", "phase", "steps"),
    [
        ([0.1, 0.5, 0.94, 0.94, 0.94], [0] * 5, 500, CONFUSION, (None, None)),
        ([0.1, 1, 1, 1, 1], [0, 0.1, 0.2, 0.3, 0.9], 500, MEMORIZATION, (500, None)),
        ([0, 1, 1, 1, 1, 1], [0, 0, 0.5, 0.95, 1, 1], 500, GROKKING, (500, 1500)),
        ([0, 1, 1, 1, 1], [0, 0, 1, 1, 1], 500, COMPREHENSION, (500, 1000)),
        # a long wait, but less than twice the time
        ([0] * 4 + [1] * 6, [0] * 7 + [1] * 3, 500, COMPREHENSION, (2000, 3500)),
        # twice the time, but less than a thousand steps
        ([0] + [1] * 6, [0] * 4 + [1] * 3, 100, COMPREHENSION, (100, 400)),
        # not yet three in a row
        ([0] + [1] * 5, [0] * 4 + [1] * 2, 100, MEMORIZATION, (100, None)),
        # the rule before the training pairs
        ([0, 0, 1, 1, 1], [0, 1, 1, 1, 1], 500, COMPREHENSION, (1000, 500)),
        ([0], [0], 500, CONFUSION, (None, None)),
    ],
)
def test_the_phase_is_when_training_pairs_and_the_rule_are_learned(
    train, strict, every, phase, steps
):
    found = outcome(curve(train, strict, every=every), RATIO)
    assert (found.phase, found.train_step, found.val_step_strict) == (phase, *steps)


@pytest.mark.parametrize("strict", [0, NAN])
def test_grokking_rests_on_strict_pairs_and_not_on_all(strict):
    """Nor is there any without them."""
    rows = curve(train=[0, 1, 1, 1, 1, 1], strict=[strict] * 6, val=[0, 0, 0, 1, 1, 1])
    found = outcome(rows, RATIO)
    assert (found.phase, found.val_step) == (MEMORIZATION, 1500)
    assert (found.val_step_strict, found.tau_rule) == (None, None)
    assert found.val_acc_strict == pytest.approx(strict, nan_ok=True)


@pytest.mark.parametrize(
    ("end", "is_diverged"),
    [(NAN, True), (math.inf, True), (1.01 * RATIO * 0.5, True), (0.99 * RATIO * 0.5, False)],
)
def test_diverged_is_to_end_without_a_loss_or_well_above_the_first(end, is_diverged):
    perfect = curve(train=[1] * 5, strict=[1] * 5, loss=[0.5, 9.0, 0.1, 0.1, end])
    assert diverged(perfect, RATIO) == is_diverged
    assert (outcome(perfect, RATIO).phase == DIVERGED) == is_diverged


@pytest.mark.parametrize(("end", "phase"), [(2.0, CONFUSION), (9.0, DIVERGED), (NAN, DIVERGED)])
def test_the_first_batch_of_the_velocity_loss_may_lie_far_below_the_mean(end, phase):
    rows = curve(train=[0] * 3, strict=[0] * 3, loss=[0.5, 2.0, end])
    assert outcome(rows, 5.0).phase == phase
    assert outcome(rows, RATIO).phase == DIVERGED


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


@pytest.mark.parametrize(
    ("copies", "tau_mem"), [([0.0, 0.49, 0.5, 0.2, 1.0], 1000), ([NAN] * 5, None)]
)
def test_the_clocks_are_first_steps_at_a_level(copies, tau_mem):
    """Half of the samples copied, which needs several images per symbol; nine tenths of strict
    pairs right."""
    found = outcome(curve([1] * 5, [0, 0.89, 0.9, 0.1, 1], copies=copies), RATIO)
    assert (found.tau_rule, found.tau_mem) == (1000, tau_mem)


def test_an_outcome_ends_with_the_last_row():
    found = outcome(curve(train=[0.1, 0.2], strict=[0.3, 0.4], val=[0.5, 0.6]), RATIO)
    last = (found.steps_run, found.train_acc, found.val_acc, found.val_acc_strict)
    assert last == (500, 0.2, 0.6, 0.4)


# --- settled --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "strict", "is_settled"),
    [
        (1, [0.99] * 5, True),
        (1, [0, 0, 1, 1, 1, 1, 1], True),
        (1, [1] * 4, False),
        (1, [1, 1, 1, 1, 0.98], False),
        (1, [1, 1, 1, 1, 1, 0.9], False),
        (1, [NAN] * 9, False),
        (1, [], False),
        # of a few strict pairs all may be right in a trial that still learns
        (0.94, [1] * 6, False),
        (0.95, [1] * 6, True),
    ],
)
def test_settled_means_full_strict_accuracy_five_times_in_a_row(train, strict, is_settled):
    assert settled(curve(train=[train] * len(strict), strict=strict)) == is_settled
