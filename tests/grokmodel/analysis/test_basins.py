import numpy as np
import pytest
import torch

from grokmodel.analysis.basins import (
    STARTS,
    STRICT,
    TRAIN,
    _row,
    basin_pairs,
    basins,
)
from grokmodel.data.pairs import split_pairs
from tests.grokmodel.analysis.handmade import (
    decoders_of,
    follower_probe,
    lookup_config,
    lookup_member,
    memorizer,
    probe_of,
    random_member,
    rule_follower,
    rule_table,
    without_strict_pairs,
)
from tests.grokmodel.tiny import tiny

P = 7


def basins_of(probe):
    (rows,) = basins(probe, decoders_of(probe))
    return {row.pairs: row for row in rows}


def shares(row):
    return (row.copy_share, row.rule_share, row.neither_share, row.right_share)


def draws_first(config, bank):
    """A member that draws the first image of the right class."""
    first = torch.from_numpy(bank.standardized[:, 0]).flatten(1)
    return lookup_member(config, bank, rule_table(config), first)


# --- shares ---------------------------------------------------------------------------------------


def test_an_end_is_a_copy_or_new_and_right_or_neither():
    right = torch.tensor([True, True, True, False, False, False, False, False])
    copy = torch.tensor([True, False, False, True, True, True, False, False])
    row = _row(TRAIN, right, copy)
    assert (row.pairs, row.starts) == (TRAIN, 8)
    assert shares(row) == (4 / 8, 2 / 8, 2 / 8, 3 / 8)


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["add", "div"])
def test_half_of_the_starts_are_for_training_pairs_and_half_for_strict_ones(op):
    config = tiny(op=op)
    (pairs,) = basin_pairs([random_member(config)])
    split = split_pairs(config)
    for found, allowed in (
        (pairs[:STARTS], split.train),
        (pairs[STARTS:], split.val[split.strict]),
    ):
        assert len(found) == STARTS
        # all of them, and each as often as the others, but for one
        numbers, counts = np.unique(found @ (P, 1), return_counts=True)
        assert set(numbers) == set(allowed @ (P, 1))
        assert counts.max() - counts.min() <= 1


def test_without_strict_pairs_there_is_no_row_for_them():
    config = without_strict_pairs(lookup_config, train_fraction=0.95)
    assert set(basins_of(probe_of(random_member(config)))) == {TRAIN}


# --- members whose ends are known -----------------------------------------------------------------


COPY, NEW, WRONG_COPY = (1, 0, 0, 1), (0, 1, 0, 1), (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("make", "N", "train", "strict"),
    [
        (rule_follower, 1, COPY, COPY),
        (memorizer, 1, COPY, WRONG_COPY),
        (rule_follower, 2, NEW, NEW),  # the mean of two images
        (draws_first, 2, COPY, COPY),
    ],
)
def test_an_end_is_what_the_member_draws(make, N, train, strict):
    rows = basins_of(follower_probe(make, N=N))
    assert {pairs: shares(row) for pairs, row in rows.items()} == {TRAIN: train, STRICT: strict}
