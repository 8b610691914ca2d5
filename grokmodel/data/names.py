"""Names that configs give to data sets, alphabets, operations and splits; loads nothing."""

import functools

OPERATIONS = ("add", "sub", "mul", "div")
PRIME_OPERATIONS = ("div",)
"""Operations that are only defined when P is prime (every b != 0 has an inverse)."""
SPLITS = ("ordered", "unordered")
EMNIST_SETS = {
    "emnist": "bymerge",
    "emnist-balanced": "balanced",
    "emnist-letters": "letters",
    "emnist-byclass": "byclass",
}
"""Data set -> what the official files call it."""
KUZUSHIJI = "kuzushiji49"
OMNIGLOT_SETS = {"omniglot-katakana": "Japanese_(katakana)", "omniglot-sanskrit": "Sanskrit"}
"""Data set -> what the official archives call its alphabet."""
GLYPHS = "glyphs"
DATASETS = (GLYPHS, *EMNIST_SETS, KUZUSHIJI, *OMNIGLOT_SETS)
PLAIN, DISTINCT = "plain", "distinct"
ALPHABETS = (PLAIN, DISTINCT)


@functools.cache
def is_prime(n: int) -> bool:
    return n >= 2 and all(n % k for k in range(2, int(n**0.5) + 1))
