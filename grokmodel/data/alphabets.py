"""Which classes of a data set are the symbols 0, 1, 2, ...: the first P of an alphabet.

`plain` is the order of the data, letters before digits. Handwritten classes that share a stroke
cannot be told apart by anybody (I, L and 1; O and 0; f and F; 9, g and q), so where images vary
(N > 1) no decoder reads the images of a plain alphabet at 98 %. `distinct` puts such classes last:
a decoder of all classes is trained, the class that is most often confused with those still there
is taken out, and so on; what was taken out first stands last. `tests/benchmarks/alphabet.py` makes
it anew, from training images alone.
"""

from __future__ import annotations

import numpy as np

from grokmodel.data.names import DISTINCT, PLAIN
from grokmodel.errors import ConfigError

MERGED = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
"""What the labels 0, 1, 2, ... of EMNIST's by-merge and balanced sets show."""
DISTINCT_ORDER = "AENOQTXbd3R245MGPVLWBF97CJKher8DnUHZ6taYSIgfq01"
"""All of MERGED, look-alikes last."""
HAS_DISTINCT = ("emnist", "emnist-balanced")
FIRST_CLASS = {"emnist": 10, "emnist-balanced": 10, "emnist-byclass": 10}
"""Class that becomes symbol 0 of a plain alphabet: letters come before digits."""


def check_alphabet(data: str, alphabet: str) -> None:
    """Raise ConfigError if the data have no such alphabet."""
    if alphabet == DISTINCT and data not in HAS_DISTINCT:
        allowed = f"{PLAIN!r} for data = {data!r}: only {' and '.join(HAS_DISTINCT)} have another"
        raise ConfigError("alphabet", alphabet, allowed)


def symbol_order(labels: np.ndarray, data: str, alphabet: str) -> np.ndarray:
    """Sorted labels of a data set in the order of an alphabet."""
    if alphabet == DISTINCT:
        order = [MERGED.index(character) for character in DISTINCT_ORDER]
        return np.array([label for label in order if label in labels])
    first = FIRST_CLASS.get(data, 0)
    return np.concatenate([labels[labels >= first], labels[labels < first]])
