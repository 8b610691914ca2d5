"""The task as addition on a cyclic group, which is what makes it a matter of frequencies.

Addition and subtraction are cyclic on Z_P as they stand. Multiplication and division modulo a prime
are addition and subtraction of discrete logarithms, on the P - 1 symbols other than 0: in that
order of the symbols they have the same Fourier analysis.

Shapes: P modulus, n order of the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from grokmodel.data.names import is_prime

PLAIN, LOG = "plain", "log"


@dataclass(frozen=True)
class CyclicOrder:
    """Which symbol stands for which element of Z_n."""

    P: int
    ordering: str
    """`plain`: element i is symbol i; `log`: element i is symbol g^i for a primitive root g."""
    sign: int
    """Elements (i, j) give element i + sign * j mod n; 0 where there is no such rule."""
    elements: tuple[int, ...]
    """(n,) symbol of every element."""

    @property
    def n(self) -> int:
        return len(self.elements)

    @property
    def pairs(self) -> np.ndarray:
        """(n, n) number a * P + b of the pair at elements (i, j)."""
        symbols = np.array(self.elements)
        return symbols[:, None] * self.P + symbols

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """A grid over symbols (P, P, ...) as the grid over elements (n, n, ...)."""
        symbols = np.array(self.elements)
        return values[np.ix_(symbols, symbols)]


@cache
def cyclic_order(op: str, P: int) -> CyclicOrder:
    """The order in which `op` on Z_P is cyclic.

    Multiplication modulo a composite number has none: its symbols stay in plain order, sign 0.
    """
    if op in ("add", "sub"):
        return CyclicOrder(P, PLAIN, 1 if op == "add" else -1, tuple(range(P)))
    if not is_prime(P) or P < 5:  # Z_2 has no frequency to speak of
        return CyclicOrder(P, PLAIN, 0, tuple(range(P)))
    root = primitive_root(P)
    powers = tuple(pow(root, i, P) for i in range(P - 1))
    return CyclicOrder(P, LOG, 1 if op == "mul" else -1, powers)


def primitive_root(P: int) -> int:
    """Smallest g whose powers are all symbols but 0, for a prime P."""
    factors = [q for q in range(2, P) if (P - 1) % q == 0 and is_prime(q)]
    return next(g for g in range(1, P) if all(pow(g, (P - 1) // q, P) != 1 for q in factors))
