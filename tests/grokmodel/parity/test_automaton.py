import numpy as np
import pytest

from grokmodel.parity.automaton import (
    Automaton,
    extract,
    mergers,
    minimal,
    spread,
    tree_of,
)
from grokmodel.parity.sequences import all_sequences, count
from tests.grokmodel.parity.handmade import counting_network, parity_network

TWO = [[0, 1], [1, 0]]
"""Transitions of the smallest automaton of parity."""


def automaton(transitions, outputs):
    return Automaton(np.array(transitions), np.array(outputs), np.empty(0))


def test_two_hidden_states_are_two_states_even_if_they_are_noisy():
    parity = all_sequences(6).parity_K
    noise = np.random.default_rng(0).normal(0, 1e-4, (len(parity), 3))
    states = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])[parity] + noise
    found = extract(states, np.eye(2)[parity])
    assert found.next_Q2.tolist() == TWO
    assert found.output_Q.tolist() == [0, 1]
    assert found.is_finite
    assert found.computes_parity
    assert found.conflicts == 0
    assert found.state_K.tolist() == parity.tolist()


def test_the_automaton_of_a_network_of_known_states_is_found_exactly():
    """Start, even, odd after a 1, odd after a 0."""
    found = extract(*tree_of(parity_network(), 5))
    assert found.next_Q2.tolist() == [[1, 2], [1, 2], [3, 1], [3, 1]]
    assert found.output_Q.tolist()[1:] == [0, 1, 1]
    assert found.computes_parity
    smallest = minimal(found)
    assert smallest.next_Q2.tolist() == TWO
    assert smallest.output_Q.tolist() == [0, 1]


def test_a_tree_has_as_many_states_as_prefixes_and_is_not_finite():
    found = extract(*tree_of(counting_network(), 4))
    assert found.states == count(4) == 31
    assert not found.is_finite
    assert not found.computes_parity
    assert (found.next_Q2 == -1).sum() == 2 * 16
    with pytest.raises(ValueError, match="31 states"):
        minimal(found)


def test_the_spread_is_the_root_of_the_variance_of_all_units_and_scales_what_is_near():
    states = np.random.default_rng(0).normal(size=(7, 4))
    variance = sum(((states[:, k] - states[:, k].mean()) ** 2).sum() / 6 for k in range(4))
    assert spread(states) == pytest.approx(variance**0.5)
    shifted = states * 1000 + 5
    assert extract(shifted, states).states == extract(states, states).states == 7


def test_what_merged_sequences_lead_to_is_checked():
    """0 and 1 are one state, but 00 and 10 are two."""
    states = np.array([0.0, 5.0, 5.0, 10.0, 20.0, 11.0, 20.0])[:, None]
    found = extract(states, np.eye(2)[[0] * 7])
    assert found.state_K.tolist() == [0, 1, 1, 2, 3, 4, 3]
    assert found.conflicts == 1


@pytest.mark.parametrize(
    ("transitions", "outputs", "is_parity"),
    [
        (TWO, [0, 1], True),
        (TWO, [1, 0], False),
        ([[0, 1], [1, 1]], [0, 1], False),
        ([[1, 2], [1, 2], [2, 1]], [1, 0, 1], True),  # the start is asked nothing
        ([[1, 2], [1, 2], [2, 0]], [1, 0, 1], False),  # it is what 11 leads to
        ([[0, 1], [1, -1]], [0, 1], False),
    ],
)
def test_an_automaton_computes_parity_or_not(transitions, outputs, is_parity):
    assert automaton(transitions, outputs).computes_parity == is_parity


def test_the_smallest_automaton_says_the_same():
    rng = np.random.default_rng(3)
    for _ in range(50):
        n = int(rng.integers(1, 8))
        some = automaton(rng.integers(0, n, (n, 2)), rng.integers(0, 2, n))
        small = minimal(some)
        assert small.states <= n
        assert minimal(small).states == small.states
        for word in rng.integers(0, 2, (20, 9)):
            for end in range(1, 10):
                assert said(some, word[:end]) == said(small, word[:end])


def said(of, word):
    state = 0
    for symbol in word:
        state = of.next_Q2[state, symbol]
    return of.output_Q[state]


def test_mergers_of_a_network_that_computes_parity():
    states, _ = tree_of(parity_network(), 4)
    found = mergers(states)
    assert found.wrongly_merged == 0
    # even ones are all one state, odd ones fall into halves by their last symbol
    tree = all_sequences(4)
    odd = tree.parity_K[1:] == 1
    last = tree.symbols_KT[np.arange(1, 31), tree.length_K[1:] - 1]
    ends = [int((odd & (last == s)).sum()) for s in (0, 1)]
    even = int((~odd).sum())
    together = [n * (n - 1) / 2 for n in (even, *ends)]
    pairs = (even * (even - 1) + sum(ends) * (sum(ends) - 1)) / 2
    assert found.merged == pytest.approx(sum(together) / pairs)
    assert 0 < found.agreeing < found.disagreeing
    tree_like = mergers(tree_of(counting_network(), 4)[0])
    assert tree_like.merged == tree_like.wrongly_merged == 0
