import numpy as np
import pytest
import torch

from grokmodel.analysis.basins import (
    STARTS,
    STRICT,
    TRAIN,
    _copies,
    _row,
    basin_pairs,
    basins,
)
from grokmodel.data.pairs import UNDEFINED, split_pairs
from tests.grokmodel.analysis.handmade import (
    lookup_config,
    lookup_member,
    memoriser,
    probe_of,
    random_member,
    rule_follower,
    rule_table,
)
from tests.grokmodel.tiny import banks_for, decoders_for, tiny

P = 7


def basins_of(member, banks):
    (rows,) = basins(probe_of(member, banks=banks), decoders_for(banks))
    return {row.pairs: row for row in rows}


def shares(row):
    return (row.copy_share, row.rule_share, row.neither_share, row.right_share)


# --- shares ---------------------------------------------------------------------------------------


def test_an_end_is_a_copy_or_new_and_right_or_neither():
    right = torch.tensor([True, True, True, False, False, False, False, False])
    copy = torch.tensor([True, False, False, True, True, True, False, False])
    row = _row(TRAIN, right, copy)
    assert (row.pairs, row.starts) == (TRAIN, 8)
    assert shares(row) == (4 / 8, 2 / 8, 2 / 8, 3 / 8)


def test_shares_sum_to_one_whatever_is_right_or_copied():
    for seed in range(10):
        right, copy = torch.rand(2, 33, generator=torch.Generator().manual_seed(seed)) > 0.4
        row = _row(STRICT, right, copy)
        assert row.copy_share + row.rule_share + row.neither_share == pytest.approx(1)
        assert row.rule_share <= row.right_share


@pytest.mark.parametrize("patch", [8, 4])
@pytest.mark.parametrize("N", [2, 3])
def test_training_images_are_copies_and_their_means_are_not(patch, N):
    configs = [tiny(N=1, patch=patch), tiny(N=N, patch=patch, seed=2)]
    probe = probe_of(*map(random_member, configs))
    images = probe.pack.bank.images[int(probe.pack.bank.offset_M[1]) :][: P * N].flatten(1)
    assert _copies(probe, 1, images).all()
    assert _copies(probe, 1, images + 0.02).all()
    assert not _copies(probe, 1, (images + images.roll(N, 0)) / 2).any(), "between two classes"


def test_copies_are_those_of_the_members_own_bank():
    probe = probe_of(random_member(tiny(N=1)), random_member(tiny(N=2, seed=2)))
    of_first, of_second = (x.flatten(1) for x in probe.pack.bank.images.split([P, 2 * P]))
    assert _copies(probe, 0, of_first).all()
    # the first image of all is the same in both banks; the others are as near to one as to two
    assert _copies(probe, 1, of_first).tolist() == [True] + [False] * (P - 1)
    assert _copies(probe, 1, of_second).all()


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
    config = next(
        c
        for c in (lookup_config(train_fraction=0.95, seed=s) for s in range(50))
        if not split_pairs(c).strict.any()
    )
    banks = banks_for(config)
    assert set(basins_of(rule_follower(config, *banks.values()), banks)) == {TRAIN}


# --- members whose ends are known -----------------------------------------------------------------


def test_with_one_image_a_symbol_every_right_end_is_a_copy():
    config = lookup_config()
    banks = banks_for(config)
    rows = basins_of(rule_follower(config, *banks.values()), banks)
    assert {pairs: shares(row) for pairs, row in rows.items()} == {
        TRAIN: (1, 0, 0, 1),
        STRICT: (1, 0, 0, 1),
    }


def test_a_memoriser_ends_in_copies_of_wrong_images_for_strict_pairs():
    config = lookup_config()
    banks = banks_for(config)
    rows = basins_of(memoriser(config, *banks.values()), banks)
    assert shares(rows[TRAIN]) == (1, 0, 0, 1)
    assert shares(rows[STRICT]) == (1, 0, 0, 0)


def test_the_mean_of_two_images_of_the_right_class_is_new_and_right():
    config = lookup_config(N=2)
    banks = banks_for(config)
    rows = basins_of(rule_follower(config, *banks.values()), banks)
    assert all(shares(row) == (0, 1, 0, 1) for row in rows.values())


def test_the_first_image_of_the_right_class_is_a_copy():
    config = lookup_config(N=2)
    banks = banks_for(config)
    (bank,) = banks.values()
    first = torch.from_numpy(bank.standardized[:, 0]).flatten(1)
    rows = basins_of(lookup_member(config, bank, rule_table(config), first), banks)
    assert all(shares(row) == (1, 0, 0, 1) for row in rows.values())


def test_the_mean_image_of_all_classes_is_no_copy():
    """It is right where it happens to be read as the right class."""
    config = lookup_config()
    banks = banks_for(config)
    (bank,) = banks.values()
    nothing = lookup_member(config, bank, np.full((P, P), UNDEFINED))
    for row in basins_of(nothing, banks).values():
        assert row.copy_share == 0
        assert row.rule_share == row.right_share < 0.5
        assert row.neither_share == pytest.approx(1 - row.right_share)


@pytest.mark.parametrize("N", [1, 2])
def test_rows_of_a_member_do_not_depend_on_its_pack_mates(N):
    configs = [lookup_config(N=N, seed=s, train_fraction=0.4 + s / 10) for s in (1, 2, 3)]
    banks = banks_for(*configs)
    (bank,) = banks.values()
    members = [memoriser(configs[0], bank), rule_follower(configs[1], bank)]
    members.append(random_member(configs[2], 0.1))
    together = basins(probe_of(*members, banks=banks), decoders_for(banks))
    for member, expected in zip(members, together):
        assert basins(probe_of(member, banks=banks), decoders_for(banks)) == [expected]
