import numpy as np
import pytest

from grokmodel.data.names import OPERATIONS
from grokmodel.data.pairs import UNDEFINED, result_table
from grokmodel.probing.cyclic import LOG, PLAIN, cyclic_order, primitive_root

PRIMES = [5, 7, 11, 23]


def results_by_rule(order):
    """(n, n) symbol of the result at every pair of elements, as the rule has it."""
    return np.array(order.elements)[order.rule()]


@pytest.mark.parametrize("P", PRIMES)
@pytest.mark.parametrize("op", OPERATIONS)
def test_in_its_order_every_operation_is_addition_or_subtraction(op, P):
    order = cyclic_order(op, P)
    np.testing.assert_array_equal(results_by_rule(order), order.arrange(result_table(op, P)))
    assert order.sign == (1 if op in ("add", "mul") else -1)


@pytest.mark.parametrize("P", [3, 4, 6, 8, 9, 12])
@pytest.mark.parametrize("op", ["add", "sub"])
def test_addition_and_subtraction_are_cyclic_for_every_modulus(op, P):
    order = cyclic_order(op, P)
    assert (order.ordering, order.elements, order.n) == (PLAIN, tuple(range(P)), P)
    np.testing.assert_array_equal(results_by_rule(order), result_table(op, P))


@pytest.mark.parametrize("P", PRIMES)
@pytest.mark.parametrize("op", ["mul", "div"])
def test_a_logarithm_orders_all_symbols_but_zero(op, P):
    order = cyclic_order(op, P)
    assert (order.ordering, order.n) == (LOG, P - 1)
    assert sorted(order.elements) == list(range(1, P))
    assert order.elements[0] == 1, "the neutral element stands at zero"


@pytest.mark.parametrize("P", [4, 6, 9, 15])
def test_multiplication_modulo_a_composite_number_has_no_rule(P):
    order = cyclic_order("mul", P)
    assert (order.ordering, order.sign, order.elements) == (PLAIN, 0, tuple(range(P)))


# --- primitive roots ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("P", "root"), [(3, 2), (5, 2), (7, 3), (11, 2), (13, 2), (23, 5), (41, 6), (97, 5), (113, 3)]
)
def test_the_smallest_primitive_root_is_that_of_the_tables(P, root):
    assert primitive_root(P) == root


@pytest.mark.parametrize("P", [p for p in range(3, 60) if all(p % k for k in range(2, p))])
def test_no_smaller_number_is_a_primitive_root(P):
    reached = {g: len({pow(g, i, P) for i in range(P - 1)}) for g in range(1, P)}
    assert primitive_root(P) == min(g for g, size in reached.items() if size == P - 1)


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("P", PRIMES)
@pytest.mark.parametrize("op", ["mul", "div"])
def test_pairs_in_the_order_of_a_logarithm_never_include_symbol_zero(op, P):
    pairs = cyclic_order(op, P).pairs
    assert (pairs // P > 0).all()
    assert (pairs % P > 0).all()
    assert (result_table(op, P).reshape(-1)[pairs] != UNDEFINED).all()


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_pair_has_the_number_of_its_place_in_the_grid(op):
    order = cyclic_order(op, 7)
    numbers = np.arange(49).reshape(7, 7)
    np.testing.assert_array_equal(order.arrange(numbers), order.pairs)
    assert len(np.unique(order.pairs)) == order.n**2


def test_arranging_keeps_the_features_of_a_pair_together():
    order = cyclic_order("mul", 7)
    grid = np.random.default_rng(0).random((7, 7, 3))
    arranged = order.arrange(grid)
    for i, a in enumerate(order.elements):
        for j, b in enumerate(order.elements):
            np.testing.assert_array_equal(arranged[i, j], grid[a, b])
