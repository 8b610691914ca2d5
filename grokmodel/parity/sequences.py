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
    number_K = np.arange(1, count(max_length) + 1)  # in binary a 1, then the sequence
    length_K = np.frexp(number_K)[1].astype(np.int64) - 1
    place_KT = length_K[:, None] - 1 - np.arange(max_length)
    bit_KT = (number_K[:, None] >> place_KT.clip(min=0)) & 1
    symbols_KT = np.where(place_KT >= 0, bit_KT, 0)
    return Sequences(symbols_KT, length_K, symbols_KT.sum(1) % 2)
