import numpy as np
import pytest

from grokmodel.data.names import OPERATIONS
from grokmodel.data.pairs import UNDEFINED, result_table, split_pairs
from grokmodel.errors import ConfigError
from tests.grokmodel.tiny import tiny

SPLIT_CASES = [
    {"op": "add", "P": 7},
    {"op": "mul", "P": 8, "train_fraction": 0.3},
    {"op": "sub", "P": 11, "train_fraction": 0.9},
    {"op": "div", "P": 11, "train_fraction": 0.8},
    {"op": "add", "P": 9, "split": "unordered"},
    {"op": "sub", "P": 10, "split": "unordered", "train_fraction": 0.9},
    {"op": "div", "P": 11, "split": "unordered", "train_fraction": 0.3},
]


def as_set(pairs):
    return {(int(a), int(b)) for a, b in pairs}


def defined_pairs(config):
    P = config.P
    return {(a, b) for a in range(P) for b in range(P) if config.op != "div" or b != 0}


def mirrored(pairs):
    return {(b, a) for a, b in pairs}


@pytest.mark.parametrize("P", [3, 7, 8, 23])
def test_sum_difference_and_product_agree_with_python(P):
    for op, by_hand in (
        ("add", lambda a, b: (a + b) % P),
        ("sub", lambda a, b: (a - b) % P),
        ("mul", lambda a, b: (a * b) % P),
    ):
        expected = [[by_hand(a, b) for b in range(P)] for a in range(P)]
        np.testing.assert_array_equal(result_table(op, P), expected)


@pytest.mark.parametrize("P", [3, 7, 23])
def test_a_quotient_times_its_divisor_is_the_dividend(P):
    table = result_table("div", P)
    for a in range(P):
        for b in range(1, P):
            assert table[a, b] * b % P == a
            assert 0 <= table[a, b] < P


def test_division_by_zero_is_undefined_and_nothing_else_is():
    table = result_table("div", 7)
    assert (table[:, 0] == UNDEFINED).all()
    assert (table[:, 1:] != UNDEFINED).all()


def test_an_unknown_operation_is_refused():
    with pytest.raises(ConfigError, match=", ".join(OPERATIONS)):
        result_table("pow", 7)


@pytest.mark.parametrize("case", SPLIT_CASES)
def test_train_and_validation_part_all_defined_pairs(case):
    config = tiny(**case)
    split = split_pairs(config)
    assert len(split.train) + len(split.val) == len(defined_pairs(config))
    assert as_set(split.train) | as_set(split.val) == defined_pairs(config)
    assert not as_set(split.train) & as_set(split.val)


@pytest.mark.parametrize("R", [0.1, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("op", ["add", "div"])
def test_an_ordered_split_has_exactly_the_share_asked_for(R, op):
    config = tiny(op=op, P=11, train_fraction=R)
    assert len(split_pairs(config).train) == round(R * len(defined_pairs(config)))


@pytest.mark.parametrize("R", [0.1, 0.5, 0.8, 0.9])
def test_an_unordered_split_has_the_share_asked_for_within_one_pair(R):
    config = tiny(P=11, train_fraction=R, split="unordered")
    assert abs(len(split_pairs(config).train) - round(R * 121)) <= 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("op", ["add", "sub"])
def test_an_unordered_split_keeps_mirrors_on_one_side(seed, op):
    split = split_pairs(tiny(op=op, P=11, split="unordered", seed=seed))
    assert mirrored(as_set(split.train)) == as_set(split.train)
    assert split.strict.all()


def test_an_unordered_split_of_a_division_leaks_nothing():
    """(0, b) has no mirror, since b / 0 is undefined: nothing can leak."""
    assert split_pairs(tiny(op="div", P=11, split="unordered")).strict.all()


@pytest.mark.parametrize("case", SPLIT_CASES)
def test_strict_means_that_the_mirror_does_not_train(case):
    split = split_pairs(tiny(**case))
    trains = as_set(split.train)
    for (a, b), strict in zip(split.val, split.strict):
        assert strict == ((b, a) not in trains)


def test_the_diagonal_counts_as_strict():
    split = split_pairs(tiny(P=23, train_fraction=0.5))
    diagonal = split.val[:, 0] == split.val[:, 1]
    assert diagonal.any()
    assert split.strict[diagonal].all()


def test_the_first_validation_pairs_are_a_fair_sample_of_all():
    """Evaluations take the first pairs: strict ones must not be commoner there than in all."""
    splits = [split_pairs(tiny(P=23, train_fraction=0.5, seed=s)) for s in range(40)]
    first = np.mean([s.strict[:20].mean() for s in splits])
    assert first == pytest.approx(np.mean([s.strict.mean() for s in splits]), abs=0.06)


def test_most_validation_pairs_of_an_ordered_split_leak_through_their_mirror():
    split = split_pairs(tiny(P=23, train_fraction=0.9))
    leaked = as_set(split.val[~split.strict])
    assert mirrored(leaked) <= as_set(split.train)
    assert len(leaked) > 0.75 * len(split.val)


def test_a_split_depends_on_its_seed_and_on_no_other_draw():
    first, again = split_pairs(tiny(seed=3)), split_pairs(tiny(seed=3, lr=0.5, width=32))
    np.testing.assert_array_equal(first.train, again.train)
    np.testing.assert_array_equal(first.val, again.val)
    assert as_set(split_pairs(tiny(seed=4)).train) != as_set(first.train)


@pytest.mark.parametrize("R", [0.01, 0.99])
def test_an_ordered_split_with_an_empty_side_is_refused(R):
    with pytest.raises(ConfigError, match="P = 3 has 9 pairs") as caught:
        split_pairs(tiny(P=3, train_fraction=R))
    assert (caught.value.field, caught.value.value) == ("train_fraction", R)


@pytest.mark.parametrize("R", [0.01, 0.99])
def test_an_unordered_split_leaves_no_side_empty(R):
    split = split_pairs(tiny(P=3, train_fraction=R, split="unordered"))
    assert 0 < len(split.train) < 9
