import dataclasses
import math

import numpy as np
import pytest
from pybdm import BDM

from grokmodel.analysis import complexity as module
from grokmodel.analysis.complexity import bdm, complexity, spectral_entropy, stable_rank
from grokmodel.image.model import Layout
from grokmodel.image.pack import Member
from tests.grokmodel.analysis.handmade import random_member
from tests.grokmodel.tiny import tiny


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def with_singular_values(values, rows=8, columns=12):
    left, _ = np.linalg.qr(random(rows, rows))
    right, _ = np.linalg.qr(random(columns, columns))
    middle = np.zeros((rows, columns))
    np.fill_diagonal(middle, values)
    return left @ middle @ right


def power(weight):
    return np.square(np.linalg.svd(weight, compute_uv=False))


# --- spectrum of the weights ----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4, 9])
def test_the_stable_rank_of_the_identity_is_its_size_and_that_of_an_outer_product_is_one(n):
    assert stable_rank(power(np.eye(n))) == pytest.approx(n)
    assert stable_rank(power(np.outer(random(5), random(n)))) == pytest.approx(1)


def test_the_stable_rank_lies_between_one_and_the_rank():
    weight = with_singular_values([3, 3, 1, 0, 0, 0, 0, 0])
    assert stable_rank(power(weight)) == pytest.approx((9 + 9 + 1) / 9)


@pytest.mark.parametrize("n", [2, 8])
def test_singular_values_all_alike_have_full_entropy_and_a_single_one_has_none(n):
    assert spectral_entropy(power(np.eye(n))) == pytest.approx(1)
    assert spectral_entropy(power(np.outer(random(n), random(n)))) == pytest.approx(0, abs=1e-9)


def test_two_of_eight_alike_have_a_third_of_the_entropy():
    weight = with_singular_values([2, 2, 0, 0, 0, 0, 0, 0])
    assert spectral_entropy(power(weight)) == pytest.approx(math.log(2) / math.log(8))


def test_a_single_singular_value_has_no_entropy():
    assert spectral_entropy(np.array([3.0])) == 0


@pytest.mark.parametrize("measure", [stable_rank, spectral_entropy])
def test_measures_of_the_spectrum_know_no_scale(measure):
    weight = random(8, 12)
    assert measure(power(1e-4 * weight)) == pytest.approx(measure(power(weight)))


def test_no_weights_at_all_have_nothing():
    assert (stable_rank(np.zeros(4)), spectral_entropy(np.zeros(4))) == (0, 0)


# --- block decomposition --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 4), (8, 12), (16, 4), (64, 64)])
def test_the_block_decomposition_is_that_of_pybdm(shape):
    weight = random(*shape)
    signs = (weight > np.median(weight)).astype(int)
    assert bdm(weight) == pytest.approx(BDM(ndim=2).bdm(signs))


def test_of_repeated_blocks_too():
    weight = np.tile(random(4, 4), (3, 5))
    signs = (weight > np.median(weight)).astype(int)
    assert bdm(weight) == pytest.approx(BDM(ndim=2).bdm(signs))
    assert bdm(weight) == pytest.approx(bdm(weight[:4, :4]) + math.log2(15))


def test_random_signs_are_more_complex_than_regular_ones():
    i = np.arange(32)
    stripes = (-1.0) ** (i[:, None] + i)
    blocks = np.sign(i[:, None] // 16 - 0.5) * np.ones(32)
    for regular in (stripes, blocks):
        assert bdm(random(32, 32)) > 10 * bdm(regular)


def test_the_complexity_knows_neither_scale_nor_place():
    weight = random(8, 8)
    assert bdm(1e-3 * weight + 7) == bdm(weight)


def test_what_does_not_fill_a_block_counts_in_the_median_alone():
    weight = random(11, 14)
    weight[8:] += 1
    signs = (weight > np.median(weight)).astype(int)[:8, :12]
    assert bdm(weight) == pytest.approx(BDM(ndim=2).bdm(signs))


def test_bits_are_of_the_weights_that_fill_blocks():
    member = random_member(tiny(width=6, heads=1))
    weights = Layout(member.config.shape).views(member.state.average)
    (row,) = [r for r in complexity(member) if r.matrix == "block0.query"]
    assert (row.rows, row.columns) == (6, 6)
    assert row.bdm == pytest.approx(bdm(weights["block0.query.w"][0].numpy().astype(float)) / 16)


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


def test_a_row_has_the_measures_of_the_averaged_weights():
    member = random_member(tiny())
    expected = complexity(member)
    member.state.weights.zero_()
    weights = Layout(member.config.shape).views(member.state.average)
    for row, again in zip(complexity(member), expected, strict=True):
        assert row == again
        weight = weights[f"{row.matrix}.w"][0].double().numpy()
        assert row.norm == pytest.approx(np.sqrt(np.square(weight).sum()))
        assert row.stable_rank == pytest.approx(row.norm**2 / power(weight)[0])
        assert row.entropy == spectral_entropy(power(weight))
        assert row.bdm == bdm(weight) / weight.size


def test_fresh_weights_of_the_modulation_are_no_weights_at_all():
    """adaLN starts at zero."""
    rows = {row.matrix: row for row in complexity(Member.start(tiny()))}
    for name in ("block0.mod", "final.mod"):
        assert (rows[name].norm, rows[name].stable_rank, rows[name].entropy) == (0, 0, 0)
    assert rows["block0.ffn.up"].stable_rank > 2
    assert rows["block0.ffn.up"].bdm > 10 * rows["block0.mod"].bdm
