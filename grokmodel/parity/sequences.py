"""All binary sequences up to a length, as the nodes of a binary tree in breadth-first order.

Node 0 is the empty sequence; a symbol s leads from node k to node 2k + 1 + s. So sequences are
ordered by length, and what follows from a sequence lies at a place that is known without a search.

Shapes: K = 2^(T + 1) - 1 nodes, T length of the longest sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sequences:
    """Every sequence up to a length, the empty one first."""

    symbols_KT: np.ndarray
    """0 and 1; what lies beyond the end of a sequence is 0."""
    length_K: np.ndarray
    parity_K: np.ndarray
    """1 where the number of ones is odd."""


def count(max_length: int) -> int:
    """Number K of sequences of length 0 to `max_length`."""
    return int(2 ** (max_length + 1) - 1)


def all_sequences(max_length: int) -> Sequences:
    """The sequences of length 0 to `max_length` in the order of nodes."""
    K = count(max_length)
    symbols_KT = np.zeros((K, max_length), dtype=np.int64)
    length_K = np.zeros(K, dtype=np.int64)
    for k in range(1, K):
        parent, symbol = (k - 1) // 2, (k - 1) % 2
        length_K[k] = length_K[parent] + 1
        symbols_KT[k] = symbols_KT[parent]
        symbols_KT[k, length_K[parent]] = symbol
    return Sequences(symbols_KT, length_K, symbols_KT.sum(1) % 2)
