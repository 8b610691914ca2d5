"""A member in a pack is what it is alone, and its loss is what it is said to be."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grokmodel.core.checkpoint import dump_state, load_state
from grokmodel.data.pairs import result_table
from grokmodel.tokens.family import FAMILY
from grokmodel.tokens.model import Layout
from grokmodel.tokens.pack import Member, Pack, cross_entropy
from tests.grokmodel.checkpoints import assert_identical
from tests.grokmodel.tokens.reference import Reference
from tests.grokmodel.tokens.tiny import CPU, tiny, train_together

MIXED = [
    {"seed": 11},
    {"seed": 12, "train_fraction": 0.8},
    {"seed": 13, "op": "mul", "train_fraction": 0.3, "split": "unordered"},
    {"seed": 14, "op": "div", "weight_decay": 0.0, "lr": 1e-2, "beta1": 0.5, "beta2": 0.9},
    {"seed": 15, "op": "sub", "warmup": 0, "ema": 0.9, "init_scale": 0.5},
]
"""Changes of the members of a pack."""


def curve_array(member):
    return np.array([dataclasses.astuple(e) for e in member.curve], dtype=float)


@pytest.mark.parametrize("changes", [{}, {"activation": "gelu", "heads": 4}, {"optimizer": "muon"}])
def test_a_member_trains_the_same_in_a_mixed_pack_as_alone(changes):
    """Wherever it stands."""
    configs = [tiny(**(own | changes)) for own in MIXED]
    forwards, backwards = train_together(*configs), train_together(*configs[::-1])
    for config, member, other in zip(configs, forwards, backwards[::-1], strict=True):
        (alone,) = train_together(config)
        assert len(alone.curve) == 5
        for found in (member, other):
            np.testing.assert_allclose(curve_array(found), curve_array(alone), rtol=1e-4)
            for rows in ("weights", "average"):
                mine, expected = getattr(found.state, rows), getattr(alone.state, rows)
                assert (mine - expected).norm() <= 1e-4 * expected.norm()


def test_the_loss_is_the_mean_over_all_training_pairs_of_a_member_and_over_no_other():
    configs = [tiny(**own) for own in MIXED]
    pack = Pack([Member.start(c) for c in configs], CPU)
    sizes = [len(split.train) for split in pack.splits]
    assert len(set(sizes)) > 2, "so that some are padded"
    weights = pack.state.weights.clone().requires_grad_()
    loss_M = pack.loss(weights, pack.state.step)
    (gradient,) = torch.autograd.grad(loss_M.sum(), weights)
    layout = Layout(pack.shape)
    for i, (config, split) in enumerate(zip(configs, pack.splits)):
        reference = Reference(pack.shape).load(layout.views(pack.state.weights), i)
        a, b = torch.from_numpy(split.train).unbind(1)
        target = torch.from_numpy(result_table(config.op, config.P))[a, b]
        expected = F.cross_entropy(reference(a, b), target)
        expected.backward()
        torch.testing.assert_close(loss_M[i], expected)
        for name, value in reference.gradients().items():
            found = layout.views(gradient)[name][i]
            torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-6, msg=name)


def test_a_loss_that_float32_rounds_to_nothing_still_has_a_value_and_a_gradient():
    logits = torch.tensor([[[0.0, 30.0, 2.0]]], requires_grad=True)
    target = torch.tensor([[1]])
    assert F.cross_entropy(logits[0], target[0]) == 0
    loss = cross_entropy(logits, target)
    expected = np.log1p(np.exp(-30.0) + np.exp(-28.0))
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-3)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    found = gradient[0, 0].numpy()
    np.testing.assert_allclose(found, [np.exp(-30.0), -expected, np.exp(-28.0)], rtol=1e-3)


def test_a_resumed_member_ends_bit_for_bit_where_an_uninterrupted_one_does():
    config = tiny(op="mul", seed=5, ema=0.9)
    (whole,) = train_together(config)
    member = Member.start(config)
    for done in FAMILY.train([member], None, CPU):
        done.write_back()
        if member.step == 10:
            break
    resumed = load_state(Member, dump_state(member))
    assert_identical(resumed, member)
    for _ in FAMILY.train([resumed], None, CPU):
        pass
    assert_identical(resumed, whole)


def test_a_mixed_pack_resumes_bit_for_bit():
    configs = [tiny(**own) for own in MIXED]
    whole = train_together(*configs)
    members = [Member.start(c) for c in configs]
    for done in FAMILY.train(members, None, CPU):
        done.write_back()
        if members[0].step == 10:
            break
    resumed = [load_state(Member, dump_state(m)) for m in members]
    for _ in FAMILY.train(resumed, None, CPU):
        pass
    for member, expected in zip(resumed, whole, strict=True):
        assert_identical(member, expected)
