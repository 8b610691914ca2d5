import numpy as np
import pytest

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
def test_a_quotient_times_its_divisor_is_the_dividend_and_zero_divides_nothing(P):
    table = result_table("div", P)
    a, b = np.indices((P, P))
    assert (table[:, 0] == UNDEFINED).all()
    assert ((table[:, 1:] >= 0) & (table[:, 1:] < P)).all()
    np.testing.assert_array_equal((table * b % P)[:, 1:], a[:, 1:])


@pytest.mark.parametrize("case", SPLIT_CASES)
def test_train_and_validation_part_all_defined_pairs_and_strict_mirrors_do_not_train(case):
    config = tiny(**case)
    split = split_pairs(config)
    assert len(split.train) + len(split.val) == len(defined_pairs(config))
    assert as_set(split.train) | as_set(split.val) == defined_pairs(config)
    trains = as_set(split.train)
    assert not trains & as_set(split.val)
    for pairs in (split.train, split.val):  # evaluations take the first: a random sample
        numbers = pairs @ (config.P, 1)
        assert (np.diff(numbers) < 0).any()
    assert split.strict.tolist() == [(b, a) not in trains for a, b in split.val.tolist()]


@pytest.mark.parametrize("R", [0.1, 0.5, 0.8, 0.9])
@pytest.mark.parametrize(
    ("op", "split"), [("add", "ordered"), ("div", "ordered"), ("add", "unordered")]
)
def test_a_split_has_the_share_asked_for_exactly_or_within_one_pair(R, op, split):
    config = tiny(op=op, P=11, train_fraction=R, split=split)
    error = len(split_pairs(config).train) - round(R * len(defined_pairs(config)))
    assert abs(error) <= (split == "unordered")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("op", ["add", "sub", "div"])
def test_an_unordered_split_keeps_mirrors_on_one_side(seed, op):
    """(0, b) has no mirror, since b / 0 is undefined: nothing can leak."""
    split = split_pairs(tiny(op=op, P=11, split="unordered", seed=seed))
    with_mirror = {(a, b) for a, b in as_set(split.train) if a or op != "div"}
    assert mirrored(with_mirror) == with_mirror
    assert split.strict.all()


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
def test_an_ordered_split_with_an_empty_side_is_refused_and_an_unordered_one_has_none(R):
    with pytest.raises(ConfigError, match="P = 3 has 9 pairs") as caught:
        split_pairs(tiny(P=3, train_fraction=R))
    assert (caught.value.field, caught.value.value) == ("train_fraction", R)
    assert 0 < len(split_pairs(tiny(P=3, train_fraction=R, split="unordered")).train) < 9
