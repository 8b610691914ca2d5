import dataclasses
import math

import numpy as np
import pytest
from pybdm import BDM

from grokmodel.analysis import complexity as module
from grokmodel.analysis.complexity import bdm, complexity, spectral_entropy, stable_rank
from grokmodel.image.model import Layout
from tests.grokmodel.analysis.handmade import random_member
from tests.grokmodel.tiny import tiny


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def power(weight):
    return np.square(np.linalg.svd(weight, compute_uv=False))


# --- spectrum of the weights ----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e-4])
@pytest.mark.parametrize(
    ("weight", "rank", "entropy"),
    [
        (np.eye(8), 8, 1),
        (np.outer(random(5), random(8)), 1, 0),
        (np.diag([2.0, 2, 0, 0, 0, 0, 0, 0]), 2, 1 / 3),
        (np.diag([3.0, 3, 1, 0, 0, 0, 0, 0]), 19 / 9, None),
        (np.diag([3.0]), 1, 0),
        (np.zeros((4, 4)), 0, 0),
    ],
)
def test_the_measures_of_the_singular_values_are_known_at_any_scale(weight, rank, entropy, scale):
    assert stable_rank(power(scale * weight)) == pytest.approx(rank)
    if entropy is not None:
        assert spectral_entropy(power(scale * weight)) == pytest.approx(entropy, abs=1e-9)


# --- block decomposition --------------------------------------------------------------------------


def by_pybdm(weight):
    """Of what fills blocks; the rest counts in the median alone."""
    rows, columns = (size // 4 * 4 for size in weight.shape)
    return BDM(ndim=2).bdm((weight > np.median(weight)).astype(int)[:rows, :columns])


@pytest.mark.parametrize("shape", [(4, 4), (8, 12), (16, 4), (64, 64), (11, 14)])
def test_the_block_decomposition_is_that_of_pybdm_at_any_scale_and_place(shape):
    weight = random(*shape)
    weight[8:] += 1
    assert bdm(weight) == pytest.approx(by_pybdm(weight))
    assert bdm(1e-3 * weight + 7) == bdm(weight)


def test_of_repeated_blocks_too():
    weight = np.tile(random(4, 4), (3, 5))
    assert bdm(weight) == pytest.approx(by_pybdm(weight))
    assert bdm(weight) == pytest.approx(bdm(weight[:4, :4]) + math.log2(15))


@pytest.mark.parametrize("shape", [(3, 64), (64, 3)])
def test_a_matrix_without_a_whole_block_has_no_complexity(shape):
    assert math.isnan(bdm(random(*shape)))


def test_without_pybdm_all_other_measures_are_the_same(monkeypatch):
    member = random_member(tiny())
    whole = complexity(member)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for row, known in zip(complexity(member), whole, strict=True):
        assert math.isnan(row.bdm)
        assert not math.isnan(known.bdm)
        assert dataclasses.replace(row, bdm=0.0) == dataclasses.replace(known, bdm=0.0)


# --- members --------------------------------------------------------------------------------------


def test_every_weight_matrix_of_a_member_has_a_row():
    config = tiny(depth=2, variant="sandwich", activation="swiglu")
    entries = Layout(config.shape).entries
    rows = {row.matrix: row for row in complexity(random_member(config))}
    assert {f"{name}.w" for name in rows} == {name for name in entries if name.endswith(".w")}
    for name, row in rows.items():
        assert (row.rows, row.columns) == entries[f"{name}.w"]


@pytest.mark.parametrize("width", [16, 6])
def test_a_row_has_the_measures_of_the_averaged_weights(width):
    member = random_member(tiny(width=width))
    member.state.weights.zero_()
    weights = Layout(member.config.shape).views(member.state.average)
    for row in complexity(member):
        weight = weights[f"{row.matrix}.w"][0].double().numpy()
        in_blocks = math.prod(size // 4 * 4 for size in weight.shape)
        assert row.norm == pytest.approx(np.sqrt(np.square(weight).sum()))
        assert row.stable_rank == pytest.approx(row.norm**2 / power(weight)[0])
        assert row.entropy == spectral_entropy(power(weight))
        assert row.bdm == bdm(weight) / in_blocks
