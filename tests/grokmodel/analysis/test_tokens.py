"""Analyses of token models against what is known of hand-made logits and activations."""

import math

import numpy as np
import pytest
import torch

from grokmodel.analysis import tokens
from grokmodel.probing.hooks import HookPoint
from grokmodel.probing.projections import KEEP, REMOVE, projected
from grokmodel.probing.token_probe import OUTPUT, TokenProbe, editor
from grokmodel.tokens.pack import Member
from tests.grokmodel.tiny import CPU
from tests.grokmodel.tokens.tiny import tiny

P, K = 11, 3


def probe_of(**changes):
    return TokenProbe([Member.start(tiny(P=P, **changes))], CPU)


def with_output(probe, logits_QP):
    """The probe as if its models had these logits."""
    probe.seen[OUTPUT.name] = torch.as_tensor(logits_QP)[None]
    return probe


def rule_logits(*frequencies, op="add", scale=20.0):
    """(P^2, P) sum of cos(2 pi k (a + b - c) / P): what the algorithm of the paper gives."""
    a, b, c = np.ogrid[:P, :P, :P]
    result = a + b if op == "add" else a - b
    waves = sum(np.cos(2 * np.pi * k * (result - c) / P) for k in frequencies)
    return scale * waves.reshape(P * P, P)


def test_points_are_parts_of_what_the_model_has():
    probe = probe_of()
    assert len({(p.label, p.head) for p in probe.points}) == len(probe.points)
    seen = probe.seen
    assert {p.name for p in probe.points} == seen.keys()
    for point in probe.points:
        (grid,) = probe.grids(0, [point])
        assert grid.values.shape[:2] == (P, P)
    (head,) = probe.grids(0, [HookPoint("block0.head_output", head=1)])
    np.testing.assert_array_equal(
        head.values[2, 5], seen["block0.head_output"][0, 2 * P + 5, 1].numpy()
    )
    (b,) = probe.grids(0, [HookPoint("embedding", "b")])
    assert np.ptp(b.values, axis=0).max() == 0  # it knows nothing of a


@pytest.mark.parametrize("op", ["add", "sub"])
def test_the_frequency_of_a_rule_is_the_one_that_is_found(op):
    probe = with_output(probe_of(op=op), rule_logits(K, op=op))
    rows = [row for row in tokens.spectra(probe)[0] if row.hook == "output"]
    powers = {row.frequency: row.fve_a + row.fve_b + row.fve_ab for row in rows}
    assert powers[K] == pytest.approx(1)
    assert [row.frequency for row in rows if row.is_key] == [K]
    assert {row.t for row in rows} == {1.0}


@pytest.mark.parametrize("op", ["mul", "div"])
def test_multiplication_is_looked_at_in_the_order_of_discrete_logarithms(op):
    probe = probe_of(op=op)
    logs = {g: i for i, g in enumerate(probe.order.elements)}
    sign = 1 if op == "mul" else -1
    logits = np.zeros((P, P, P))
    for a, i in logs.items():
        for b, j in logs.items():
            for c, k in logs.items():
                logits[a, b, c] = np.cos(2 * np.pi * 2 * (i + sign * j - k) / (P - 1))
    rows = tokens.spectra(with_output(probe, logits.reshape(P * P, P)))[0]
    mine = [row for row in rows if row.hook == "output"]
    assert {row.ordering for row in mine} == {"log"}
    assert [row.frequency for row in mine if row.is_key] == [2]


def test_restricted_and_excluded_loss_take_a_rule_and_what_is_memorized_apart():
    """Logits of a rule and, on training pairs, a memory beside it (Nanda et al. 2023)."""
    probe = probe_of(train_fraction=0.5)
    split, rule = probe.pack.splits[0], rule_logits(1, 4, scale=4.0)
    (row,) = tokens.progress(with_output(probe, rule), [0])
    assert row.n_dominant == 2
    assert row.strict_acc == row.restricted_acc == 1.0
    assert row.restricted_loss == pytest.approx(row.strict_loss, rel=1e-5)
    assert row.excluded_loss == pytest.approx(math.log(P), rel=1e-5)  # nothing is left
    memory = rule.copy()
    train = split.train @ (P, 1)
    memory[train, probe.c_MQ[0, train].numpy()] += 30.0
    (row,) = tokens.progress(with_output(probe, memory), [0])
    assert row.excluded_acc == 1.0
    assert row.excluded_loss < 0.01 * math.log(P)  # far below guessing


def test_what_is_no_rule_has_no_restricted_loss():
    (row,) = tokens.progress(TokenProbe([Member.start(tiny(P=12, op="mul"))], CPU), [0])
    assert math.isnan(row.restricted_loss)
    assert math.isnan(row.excluded_loss)


def test_a_frequency_that_is_removed_is_gone_and_the_others_are_as_they_were():
    order, logits = probe_of().order, torch.as_tensor(rule_logits(2, 5), dtype=torch.float32)
    for mode, left in ((REMOVE, rule_logits(5)), (KEEP, rule_logits(2))):
        found = projected(order, [[2]], mode, CPU)(logits[None])[0]
        np.testing.assert_allclose(found, left, atol=1e-3)


def test_to_remove_all_from_the_output_is_to_guess_and_to_keep_all_changes_nothing():
    probe = probe_of()
    logits = probe.predict()
    everything = [range(1, P // 2 + 1)]
    kept = probe.predict(editor([OUTPUT], projected(probe.order, everything, REMOVE, CPU)))
    # functions of a and b at unequal frequencies are no frequency's
    rest = probe.predict(editor([OUTPUT], projected(probe.order, everything, KEEP, CPU)))
    mean = logits.mean(1, keepdim=True)
    torch.testing.assert_close(kept + rest - mean, logits, atol=1e-4, rtol=1e-4)
    rows = tokens.ablations(probe)[0]
    assert rows[0].mode == "none"
    assert {row.hook for row in rows[1:]} <= set(tokens.ABLATED)


def test_heads_that_do_nothing_may_be_patched_and_ablated():
    probe = probe_of()
    probe.params["block0.out.w"][:, :4] = 0  # of head 0, whose features come first
    first, second = tokens.heads(probe)[0]
    assert first.margin == pytest.approx(first.margin_patched, abs=1e-6)
    assert first.margin == pytest.approx(first.margin_ablated, abs=1e-6)
    assert second.margin != pytest.approx(second.margin_patched, abs=1e-6)
    assert first.margin == second.margin


def test_the_margin_is_the_right_logit_less_the_largest_wrong_one():
    probe = with_output(probe_of(), rule_logits(K))
    probe.predict = lambda hook=None: probe.seen[OUTPUT.name]
    (row, _), worst = tokens.heads(probe)[0], max(np.cos(2 * np.pi * K * np.arange(1, P) / P))
    assert row.margin == pytest.approx(20 * (1 - worst))
    assert row.acc_strict == 1.0


def test_states_of_the_same_result_have_merged_where_the_rule_is_all_that_is_left():
    probe = with_output(probe_of(), rule_logits(1, 2))
    scalars, pictures = tokens.representation(probe, [True])
    (output,) = [row for row in scalars[0] if row.hook == "output"]
    assert output.merger == pytest.approx(0, abs=1e-6)
    assert {row.hook for row in pictures[0]} >= {"output"}


def test_analyses_of_a_model_do_not_depend_on_its_pack_mates():
    one, two = (Member.start(tiny(P=P, seed=seed)) for seed in (1, 2))
    together, alone = TokenProbe([one, two], CPU), TokenProbe([two], CPU)
    for measure in (tokens.heads, tokens.spectra):
        mine, its = measure(together)[1], measure(alone)[0]
        assert len(mine) == len(its)
        for a, b in zip(mine, its, strict=True):
            for name, value in vars(b).items():
                near = pytest.approx(value, rel=1e-3, abs=1e-4) if type(value) is float else value
                assert vars(a)[name] == near, name
