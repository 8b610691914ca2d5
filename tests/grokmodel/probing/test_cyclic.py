from itertools import product

import numpy as np
import pytest

from grokmodel.data.names import OPERATIONS
from grokmodel.data.pairs import result_table
from grokmodel.probing.cyclic import LOG, PLAIN, cyclic_order, primitive_root

PRIMES = [5, 7, 11, 23]


@pytest.mark.parametrize(
    ("op", "P"), [*product(OPERATIONS, PRIMES), *product(("add", "sub"), (3, 4, 6, 8, 9, 12))]
)
def test_in_its_order_every_operation_is_addition_or_subtraction(op, P):
    order = cyclic_order(op, P)
    i, j = np.indices((order.n, order.n))
    results = np.array(order.elements)[(i + order.sign * j) % order.n]
    np.testing.assert_array_equal(results, order.arrange(result_table(op, P)))
    assert order.sign == (1 if op in ("add", "mul") else -1)
    if op in ("add", "sub"):
        assert (order.ordering, order.elements) == (PLAIN, tuple(range(P)))
    else:  # all symbols but zero, the neutral element first
        assert (order.ordering, order.elements[0]) == (LOG, 1)
        assert sorted(order.elements) == list(range(1, P))
    assert order.n == len(order.elements)


@pytest.mark.parametrize("P", [4, 6, 9, 15])
def test_multiplication_modulo_a_composite_number_has_no_rule(P):
    order = cyclic_order("mul", P)
    assert (order.ordering, order.sign, order.elements) == (PLAIN, 0, tuple(range(P)))


@pytest.mark.parametrize("P", [p for p in range(3, 60) if all(p % k for k in range(2, p))])
def test_no_smaller_number_is_a_primitive_root(P):
    reached = {g: len({pow(g, i, P) for i in range(P - 1)}) for g in range(1, P)}
    assert primitive_root(P) == min(g for g, size in reached.items() if size == P - 1)


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_pair_has_the_number_of_its_place_in_the_grid(op):
    order = cyclic_order(op, 7)
    np.testing.assert_array_equal(order.arrange(np.arange(49).reshape(7, 7)), order.pairs)
    grid = np.random.default_rng(0).random((7, 7, 3))
    np.testing.assert_array_equal(grid.reshape(49, 3)[order.pairs], order.arrange(grid))
