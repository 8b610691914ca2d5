"""The finite automaton inside a network: hidden states that lie close together are one state.

As in appendix A of the paper and its code: the hidden state after every sequence up to a length,
the empty one included, is a state; those nearer than 0.01 of the spread are one. The spread is the
square root of the variance (by one less than their number) summed over all units. The paper takes
it over all of training, so that it is one constant; here it is that of the states given. Our
choices: sequences are gone through by length, so that a state stands for the shortest of them and
its transitions are those of the shortest.

Of a network of this kind parity needs more than two states. A unit that tells odd from even would
take the sums s_00, s_11 (an even state after 0, an odd one after 1) to one value and s_01, s_10 to
another; but s_00 + s_11 = s_01 + s_10, and a ReLU keeps the larger two as they are.

Shapes: K sequences of a tree (see `sequences.py`), H hidden units, Q states of the automaton.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.core.member import Params
from grokmodel.parity.model import hidden_of_tree, readout
from grokmodel.parity.sequences import all_sequences

MERGED = 0.01
"""States are one when they are nearer than this times the spread."""
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Automaton:
    """States 0, 1, ... in order of their shortest sequence; 0 is the initial one."""

    next_Q2: np.ndarray
    """State after a 0 and after a 1; UNKNOWN beyond the longest sequences."""
    output_Q: np.ndarray
    """The larger output: what the network says of a sequence that ends here."""
    state_K: np.ndarray
    """State of every sequence it was made of."""
    conflicts: int = 0
    """Pairs of a sequence and a symbol that lead elsewhere than its state does."""

    @property
    def states(self) -> int:
        return len(self.output_Q)

    @property
    def is_finite(self) -> bool:
        """All transitions lead to known states, so it answers for sequences of any length."""
        return bool((self.next_Q2 != UNKNOWN).all())

    @property
    def computes_parity(self) -> bool:
        """It is finite and right about every sequence but the empty one, of whatever length."""
        if not self.is_finite:
            return False
        reached, todo = set(), [(0, 0)]
        while todo:
            state, parity = todo.pop()
            for symbol in (0, 1):
                pair = (int(self.next_Q2[state, symbol]), parity ^ symbol)
                if self.output_Q[pair[0]] != pair[1]:
                    return False
                if pair not in reached:
                    reached.add(pair)
                    todo.append(pair)
        return True


def spread(states_KH: np.ndarray) -> float:
    """Root of the total variance of hidden states."""
    return float(np.sqrt(states_KH.var(axis=0, ddof=1, dtype=np.float64).sum()))


def extract(states_KH: np.ndarray, output_K2: np.ndarray) -> Automaton:
    """The automaton of one network.

    Args:
        states_KH: hidden states after all sequences up to a length, as of `hidden_of_tree`.
        output_K2: outputs there.
    """
    K = len(states_KH)
    near_KK = distances(states_KH) < MERGED * spread(states_KH)
    state_K = np.full(K, UNKNOWN)
    first: list[int] = []
    for k in range(K):
        if state_K[k] == UNKNOWN:
            state_K[near_KK[k] & (state_K == UNKNOWN)] = len(first)
            state_K[k] = len(first)  # also where the spread is 0, or a number is not finite
            first.append(k)
    inner = (K - 1) // 2  # sequences that have both successors
    next_K2 = np.full((K, 2), UNKNOWN)
    next_K2[:inner] = state_K[1:].reshape(inner, 2)
    next_Q2 = next_K2[first]
    # the output after nothing is not trained: a state is asked about a sequence that is not empty
    asked = [k if k or not (state_K[1:] == 0).any() else 1 + int((state_K[1:] == 0).argmax())
             for k in first]  # fmt: skip
    conflicts = int((next_K2[:inner] != next_Q2[state_K[:inner]]).sum())
    return Automaton(next_Q2, output_K2[asked].argmax(1), state_K, conflicts)


@torch.no_grad()
def tree_of(p: Params, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Hidden states and outputs of a single network, what `extract` and `mergers` ask for.

    Args:
        p: parameters with a member axis of 1.
    """
    h: Tensor = hidden_of_tree(p, max_length)
    return h[0].cpu().numpy(), readout(p, h)[0].cpu().numpy()


def minimal(automaton: Automaton) -> Automaton:
    """The smallest automaton that says the same of every sequence but the empty one, by refinement
    of the partition by outputs (Moore 1956; the paper takes Hopcroft's, which is faster).

    Raises:
        ValueError: the automaton is not finite.
    """
    if not automaton.is_finite:
        raise ValueError(f"{automaton.states} states, some without successors: need a finite one")
    reached = _reachable(automaton.next_Q2)
    place = np.full(automaton.states, UNKNOWN)
    place[reached] = np.arange(len(reached))
    next_Q2, output_Q = place[automaton.next_Q2[reached]], automaton.output_Q[reached]
    candidates = [output_Q]
    if not (next_Q2 == 0).any():  # nothing leads back to the start: what it says is never asked
        other = output_Q.copy()
        other[0] = 1 - other[0]
        candidates.append(other)
    class_Q, output_Q = min(
        ((_refined(next_Q2, out), out) for out in candidates), key=lambda found: found[0].max()
    )
    first = [int((class_Q == c).argmax()) for c in range(class_Q.max() + 1)]
    return Automaton(class_Q[next_Q2[first]], output_Q[first], np.empty(0, dtype=np.int64))


def _reachable(next_Q2: np.ndarray) -> list[int]:
    """States that sequences lead to, the initial one first."""
    reached = [0]
    for state in reached:
        reached += [s for s in dict.fromkeys(next_Q2[state].tolist()) if s not in reached]
    return reached


def _refined(next_Q2: np.ndarray, output_Q: np.ndarray) -> np.ndarray:
    """Class of every state; states of a class say the same of whatever follows. State 0 is of
    class 0, others are numbered as they come."""
    class_Q, classes = output_Q, 0
    while True:
        rows = np.column_stack([class_Q, class_Q[next_Q2]])
        _, first, class_Q = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        class_Q = np.argsort(np.argsort(first))[class_Q.reshape(-1)]
        if len(first) == classes:
            return class_Q
        classes = len(first)


@dataclass(frozen=True, eq=False)
class Mergers:
    """Pairs of sequences that are not empty: those that agree have the same parity, and so the
    same right answer whatever follows both."""

    agreeing: float
    """Mean distance of agreeing pairs, in units of the spread."""
    disagreeing: float
    """Mean distance of the others, in units of the spread."""
    merged: float
    """Share of agreeing pairs nearer than the threshold."""
    wrongly_merged: float
    """Share of the others nearer than the threshold: it must be 0 for a network that is right."""


def mergers(states_KH: np.ndarray) -> Mergers:
    """What has merged, of the states of one network after all sequences up to a length."""
    max_length = (len(states_KH) + 1).bit_length() - 2
    parity = all_sequences(max_length).parity_K[1:]
    scale, distance = spread(states_KH), distances(states_KH[1:])
    near = distance < MERGED * scale
    agree = parity[:, None] == parity
    disagree = ~agree
    np.fill_diagonal(agree, False)  # every pair counts twice, and none is of a sequence with itself
    return Mergers(
        agreeing=_mean(distance[agree]) / scale,
        disagreeing=_mean(distance[disagree]) / scale,
        merged=_mean(near[agree]),
        wrongly_merged=_mean(near[disagree]),
    )


def distances(states_KH: np.ndarray) -> np.ndarray:
    """Distances (K, K), by differences: products would lose the small ones to rounding."""
    x = torch.from_numpy(states_KH)
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").numpy()


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
