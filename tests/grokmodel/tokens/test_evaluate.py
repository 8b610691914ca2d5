"""Evaluations measure all pairs by the averaged weights, and a trial that groks is seen to."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from grokmodel.core.outcome import outcome
from grokmodel.data.pairs import result_table
from grokmodel.tokens.evaluate import evaluate
from grokmodel.tokens.family import FAMILY
from grokmodel.tokens.model import Layout
from grokmodel.tokens.pack import Member, Pack
from tests.grokmodel.tokens.reference import Reference
from tests.grokmodel.tokens.tiny import CPU, tiny, train_together


def test_accuracies_and_validation_loss_are_those_of_the_averaged_weights_on_all_pairs():
    configs = [tiny(), tiny(op="div", seed=2), tiny(op="mul", split="unordered")]
    pack = Pack([Member.start(c) for c in configs], CPU)
    pack.state.average = 3 * torch.randn(
        pack.state.weights.shape, generator=torch.Generator().manual_seed(1)
    )
    found = evaluate(pack, torch.tensor([1.0, 2.0, 3.0]))
    for i, (config, split, e) in enumerate(zip(configs, pack.splits, found)):
        reference = Reference(pack.shape).load(Layout(pack.shape).views(pack.state.average), i)
        table = torch.from_numpy(result_table(config.op, config.P))

        def measured(pairs, reference=reference, table=table):
            a, b = torch.from_numpy(pairs).unbind(1)
            with torch.no_grad():
                logits = reference(a, b)
            right = (logits.argmax(1) == table[a, b]).double().mean()
            return float(right), float(F.cross_entropy(logits, table[a, b]))

        assert e.train_acc == measured(split.train)[0]
        val_acc, val_loss = measured(split.val)
        assert e.val_acc == val_acc
        np.testing.assert_allclose(e.val_loss, val_loss, rtol=1e-4)
        assert e.val_acc_strict == measured(split.val[split.strict])[0]
        assert (e.step, e.loss) == (0, i + 1.0)
        assert e.weight_norm == pack.state.weights[i].norm()
        assert math.isnan(e.mem_share)


def test_pairs_are_evaluated_in_parts_as_at_once(monkeypatch):
    pack = Pack([Member.start(tiny()), Member.start(tiny(seed=2))], CPU)
    expected = evaluate(pack, pack.loss_sum_M)
    monkeypatch.setattr("grokmodel.tokens.evaluate.PAIRS_AT_ONCE", 9)
    for found, other in zip(evaluate(pack, pack.loss_sum_M), expected):
        assert found.val_acc == other.val_acc
        np.testing.assert_allclose(found.val_loss, other.val_loss)


def test_what_is_not_finite_is_wrong():
    pack = Pack([Member.start(tiny())], CPU)
    pack.state.average.fill_(math.nan)
    (e,) = evaluate(pack, pack.loss_sum_M)
    assert (e.train_acc, e.val_acc) == (0, 0)


def test_the_end_has_the_numbers_of_pairs_and_the_last_accuracies():
    members = train_together(tiny(), tiny(op="div"))
    for member, end in zip(members, FAMILY.finish(members, None, CPU), strict=True):
        c = member.config
        pairs = c.P**2 if c.op == "add" else c.P * (c.P - 1)
        assert end.trial["n_train"] + end.trial["n_val"] == pairs
        assert end.trial["val_acc_final"] == member.curve[-1].val_acc
        assert end.samples == []


def test_a_small_trial_groks():
    """Pairs and their mirrors fall on the same side, so that nothing is known but by the rule."""
    config = tiny(
        P=23, width=64, heads=4, ffn=128, train_fraction=0.8, split="unordered", lr=3e-3,
        warmup=10, steps=5000, eval_every=50,
    )  # fmt: skip
    (member,) = train_together(config)
    found = outcome(member.curve, member.divergence_ratio)
    memorized = next(e for e in member.curve if e.step == found.train_step)
    assert memorized.step <= 300
    assert memorized.val_acc < 0.2
    assert memorized.val_loss > math.log(23), "worse than a guess"
    assert found.val_step >= 2 * memorized.step
    last = member.curve[-1]
    assert last.train_acc == 1
    assert last.val_acc >= 0.99
    assert last.val_loss < 0.5
