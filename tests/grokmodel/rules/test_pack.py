"""Packed = alone, resumed = uninterrupted, and batches of the right images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grokmodel.core.checkpoint import dump_snapshot, dump_state, load_snapshot, load_state
from grokmodel.core.outcome import Evaluation
from grokmodel.rules.images import copies, signs, valid_groups
from grokmodel.rules.model import next_logits
from grokmodel.rules.pack import Member, split_images
from tests.grokmodel.checkpoints import assert_identical
from tests.grokmodel.rules.tiny import pack_of, rounds, tiny, train_together
from tests.grokmodel.tiny import curve_array

MIXED = [
    {"seed": 11},
    {"seed": 12, "group_size": 4, "images": 7, "lr": 0.01},
    {"seed": 13, "group_size": 2, "images": 50, "weight_decay": 0.5, "warmup": 0},
    {"seed": 14, "group_size": 18, "cooldown": 10},
]
"""Changes of the members of a pack."""
both_models = pytest.mark.parametrize("model", ["flow", "autoregressive"])


def test_training_and_held_out_images_are_valid_different_and_a_function_of_the_config():
    train, held_out = split_images(tiny(group_size=4, images=30))
    assert (len(train), len(held_out)) == (30, 256)
    assert valid_groups(np.concatenate([train, held_out]), 4).all()
    assert not copies(held_out, train).any()
    again, _ = split_images(tiny(group_size=4, images=30, lr=0.1))
    assert np.array_equal(train, again)
    assert not np.array_equal(train, split_images(tiny(group_size=4, images=30, seed=2))[0])


def test_batches_are_training_images_of_the_member_all_of_them_about_equally_often():
    pack = pack_of(*(tiny(**changes) for changes in MIXED))
    seen = torch.cat([pack.batch(torch.full((4,), step))[0] for step in range(250)], dim=1)
    for i, train in enumerate(pack.train):
        rows = (seen[i] > 0).numpy().astype(np.uint8)
        assert copies(rows, train).all()
        assert np.array_equal(signs(rows), seen[i].numpy())
        counts = np.unique(rows, axis=0, return_counts=True)[1]
        expected = 2000 / len(train)
        assert len(counts) == len(train)
        assert abs(counts - expected).max() < 5 * np.sqrt(expected)


@both_models
def test_a_member_trains_the_same_in_a_mixed_pack_as_alone(model):
    configs = [tiny(model=model, **changes) for changes in MIXED]
    forwards, backwards = train_together(*configs), train_together(*configs[::-1])
    for config, member, other in zip(configs, forwards, backwards[::-1], strict=True):
        (alone,) = train_together(config)
        for found in (member, other):
            assert [e.step for e in found.curve] == [e.step for e in alone.curve]
            arrays = [curve_array(m.curve) for m in (found, alone)]
            np.testing.assert_allclose(*arrays, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(
                found.state.weights, alone.state.weights, rtol=1e-3, atol=1e-5
            )


@both_models
@pytest.mark.parametrize("at", [0, 10])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(model, at):
    members = [Member.start(tiny(model=model, **changes)) for changes in MIXED]
    dumps = []
    for r in rounds(members):
        if members[0].step == at:
            r.write_back()
            dumps = [dump_state(m) for m in members]
    resumed = [load_state(Member, data) for data in dumps]
    assert [m.step for m in resumed] == [at] * len(MIXED)
    for _ in rounds(resumed):
        pass
    for member, other in zip(resumed, members):
        assert_identical(member, other)
    back = load_snapshot(Member, dump_snapshot(members[1]))
    assert torch.equal(back.state.average, members[1].state.average)


def test_the_loss_is_cross_entropy_per_pixel():
    pack = pack_of(tiny(model="autoregressive"))
    x_MBX, *_ = pack.batch(pack.state.step)
    bits = (x_MBX + 1) / 2
    logits = next_logits(pack.params(pack.state.weights), pack.shape, bits)
    expected = F.binary_cross_entropy(torch.sigmoid(logits), bits)
    torch.testing.assert_close(pack.loss(pack.state.weights, pack.state.step)[0], expected)


def test_a_flow_that_knows_nothing_loses_the_variance_of_a_pixel():
    pack = pack_of(tiny())
    nothing = torch.zeros_like(pack.state.weights)
    assert pack.loss(nothing, pack.state.step).tolist() == [1.0]
    assert pack.held_out_loss(nothing).tolist() == [1.0]


@both_models
def test_a_step_reads_nothing_back(model):
    """As a CUDA graph needs it: on the meta device, whose tensors have no content."""
    configs = [tiny(model=model, optimizer="sgd", **changes) for changes in MIXED]
    pack = pack_of(*configs)
    for holder in (pack, pack.state, pack.hyper, pack.optimizer):
        for name, value in vars(holder).items():
            if isinstance(value, torch.Tensor):
                object.__setattr__(holder, name, value.to("meta"))
    pack.device = torch.device("meta")
    pack.step()
    assert pack.loss_sum_M.is_meta


@pytest.mark.parametrize(
    ("valid", "copied", "is_done"), [(1.0, 0.85, True), (1.0, 0.7, False), (0.9, 0.9, False)]
)
def test_a_trial_ends_early_when_all_is_copied_and_not_when_all_is_valid(valid, copied, is_done):
    member = Member.start(tiny(steps=1000))
    member.curve = [Evaluation(s, 0.1, valid, 1.0, 1.0, copied, 5.0) for s in range(0, 25, 5)]
    assert member.finished == is_done
    member.curve = member.curve[:4]
    assert not member.finished
