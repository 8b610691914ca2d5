import gc
import weakref

import numpy as np
import pytest
import torch

from grokmodel.core import noise
from grokmodel.data.pairs import result_table
from grokmodel.image.config import PRECISIONS
from grokmodel.image.model import patchify
from grokmodel.image.pack import Member, Pack
from tests.grokmodel.tiny import (
    CPU,
    assert_same_training,
    banks_for,
    synthetic_bank,
    tiny,
    train_together,
)

BFLOAT16 = 0.02
"""Relative difference of curves and weights that rounding to bfloat16 may make in 20 steps."""
MIXED = [
    {"seed": 11},
    {"seed": 12},
    {"seed": 13, "P": 11, "train_fraction": 0.8},
    {"seed": 14, "op": "mul", "P": 5, "train_fraction": 0.4, "split": "unordered"},
    {"seed": 15, "op": "div", "weight_decay": 0.0, "lr": 1e-2, "beta1": 0.5, "beta2": 0.9},
    {"seed": 26, "N": 3, "warmup": 0, "ema": 0.0},
    {"seed": 17, "N": 2, "P": 9, "t_distribution": "uniform", "eval_pairs": 10, "op": "sub"},
    {"seed": 18, "t_mean": 1.0, "t_std": 0.5, "init_scale": 1.0},
]
"""Changes of the members of a pack. Adam's first step has the sign of the gradient, however small:
with seed 16 one of 1,536 gradients is rounding noise (3e-9, the median 2e-4), and the order of a
sum decides which way that weight goes. `is_conditioned` tells such seeds."""


def pack_of(*configs):
    return Pack([Member.start(c) for c in configs], banks_for(*configs), CPU)


def gradients(*configs):
    """Of the first step."""
    pack = pack_of(*configs)
    weights = pack.state.weights.clone().requires_grad_()
    (found,) = torch.autograd.grad(pack.loss(weights, pack.state.step).sum(), weights)
    return found


def is_conditioned(config, *others):
    """Whether no first step of Adam's hangs on the order in which sums are taken."""
    grads = gradients(*others, config)[-1], gradients(config, *others)[0], gradients(config)[0]
    steps = torch.stack([grad / (grad.abs() + 1e-8) for grad in grads])
    return bool((steps.max(0).values - steps.min(0).values).max() < 1e-2)


# --- packed = alone -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "velocity", "t_clip": 0.2},
        {"variant": "sandwich", "depth": 2, "heads": 2, "norm": "pre"},
        {"patch": 4, "activation": "swiglu", "input_gate": False},
    ],
)
def test_a_member_trains_the_same_in_a_mixed_pack_as_alone(changes):
    """Of other shapes too, wherever it stands."""
    some = [MIXED[i] for i in (0, 2, 5)] if changes else MIXED
    configs = [tiny(**(member | changes)) for member in some]
    assert all(is_conditioned(configs[-1 - i], configs[i]) for i in range(len(configs)))
    forwards, backwards = train_together(*configs), train_together(*configs[::-1])
    for config, member, other in zip(configs, forwards, backwards[::-1], strict=True):
        (alone,) = train_together(config)
        assert len(alone.curve) == 5
        assert_same_training(member, alone)
        assert_same_training(member, other)


def test_packed_is_alone_in_bfloat16_whichever_way_the_operands_take():
    """The mixed pack embeds every row, a member with one image per symbol alone looks up a table:
    the same numbers rounded to 8 bits at other places."""
    configs = [tiny(precision="bfloat16", batch=16, **own) for own in ({}, {"P": 11}, {"N": 3})]
    together = train_together(*configs)
    for config, member in zip(configs, together):
        assert_same_training(member, train_together(config)[0], tolerance=BFLOAT16)


def test_products_in_bfloat16_are_those_of_float32_to_three_digits():
    exact, rounded = (pack_of(tiny(precision=p), tiny(precision=p, P=9)) for p in PRECISIONS)
    for found, expected in zip(losses_and_gradients(rounded), losses_and_gradients(exact)):
        assert found.dtype == torch.float32
        assert 0 < (found - expected).norm() / expected.norm() < 0.01


def test_the_state_of_a_bfloat16_member_is_float32_and_learns_from_small_steps():
    """A weight of 1 does not move by 1e-4 in bfloat16; the masters do."""
    (member,) = train_together(tiny(precision="bfloat16", lr=1e-4, weight_decay=0.0))
    start = Member.start(member.config).state.weights
    moved = (member.state.weights - start).abs()
    assert member.state.weights.dtype == torch.float32
    assert (moved[start.abs() > 0.1] > 0).float().mean() > 0.95


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"N": 2}, {"variant": "sandwich"}, {"depth": 2}])
def test_operands_from_a_table_take_the_same_way_as_embedding_every_row(changes):
    other_bank = {} if "N" in changes else {"P": 9}
    pack = pack_of(tiny(**changes), tiny(**changes, **other_bank, seed=2))
    fast, slow = losses_and_gradients(pack)
    assert pack.tables is not None
    pack.tables = None
    for expected, found in zip(losses_and_gradients(pack), (fast, slow)):
        torch.testing.assert_close(found, expected)


def losses_and_gradients(pack):
    weights = pack.state.weights.clone().requires_grad_()
    loss = pack.loss(weights, pack.state.step)
    return loss.detach(), torch.autograd.grad(loss.sum(), weights)[0]


def test_every_training_pair_of_its_member_is_drawn_equally_often_with_its_result():
    configs = [tiny(P=5), tiny(P=4, op="mul"), tiny(P=5, op="div")]
    pack = pack_of(*configs)
    rounds = 1000
    drawn = torch.cat([pack._draw_pairs(torch.full((3,), k), 32) for k in range(rounds)], dim=1)
    for config, split, triplets in zip(configs, pack.splits, drawn.numpy()):
        found, counts = np.unique(triplets, axis=0, return_counts=True)
        table = result_table(config.op, config.P)
        assert {(a, b) for a, b, _ in found} == {tuple(pair) for pair in split.train}
        assert (table[found[:, 0], found[:, 1]] == found[:, 2]).all()
        expected = 32 * rounds / len(split.train)
        assert np.abs(counts - expected).max() < 5 * expected**0.5


def test_drawn_images_show_the_class_asked_for_and_are_spread_evenly():
    configs = [tiny(P=5, N=3), tiny(P=9, N=2), tiny(P=7, N=1)]
    pack = pack_of(*configs)
    classes = torch.arange(5).repeat(600).view(1, -1, 3).expand(3, -1, 3)
    rows = pack.draw_images(classes, noise.TRAIN_IMAGE, torch.tensor([1, 1, 1]))
    for config, offset, found in zip(configs, pack.bank.offset_M.tolist(), rows):
        local = found - offset
        assert torch.equal(local // config.N, classes[0])
        counts = torch.bincount((local % config.N).flatten(), minlength=config.N)
        expected = local.numel() / config.N
        assert (counts - expected).abs().max() < 5 * expected**0.5


def test_every_draw_of_a_step_has_a_stream_of_its_own(monkeypatch):
    """Else, for one, the images shown would follow from the pair that is drawn."""
    streams = []
    for name in ("uniform", "normal"):
        draw = getattr(noise, name)
        monkeypatch.setattr(
            noise, name, lambda seed, stream, *rest, draw=draw: (
                streams.append(stream) or draw(seed, stream, *rest)
            )
        )  # fmt: skip
    pack = pack_of(tiny(N=3))
    pack.loss(pack.state.weights, pack.state.step)
    assert len(streams) >= 4
    assert len(set(streams)) == len(streams)


def test_tables_are_copied_for_members_of_several_banks_with_one_image_per_symbol_only():
    one, many = (pack_of(*(tiny(N=2, seed=k) for k in range(n))).tables for n in (1, 5))
    assert many.shape == (5, *one.shape[1:])
    assert many.untyped_storage().nbytes() == one.untyped_storage().nbytes()
    assert pack_of(tiny(N=2), tiny(N=2, P=9)).tables is None
    assert pack_of(tiny(), tiny(P=9)).tables is not None


def test_each_member_finds_the_images_of_its_own_bank_which_is_stored_once():
    configs = [tiny(P=9), tiny(), tiny(seed=3, lr=0.1, op="mul"), tiny(N=2)]
    pack = pack_of(*configs)
    assert len(pack.bank.images) == 9 + 7 + 2 * 7
    for i, config in enumerate(configs):
        bank = synthetic_bank(config.P, config.N, config.side)
        expected = patchify(torch.from_numpy(bank.standardized).flatten(0, 1), config.patch)
        assert torch.equal(pack.images_of(i), expected)


def test_the_loss_is_known_when_the_prediction_is_always_gray():
    """Zero weights predict the mean image, whose error is the variance of the image asked for."""
    config = tiny(batch=512, t_levels=8)
    pack = pack_of(config)
    pack.state.weights.zero_()
    step = torch.tensor([7])
    results = pack._draw_pairs(step, 512)[0, :, 2]
    power = pack.bank.images.square().mean((1, 2))
    torch.testing.assert_close(pack.loss(pack.state.weights, step)[0], power[results].mean())


def test_writing_back_copies_the_live_row():
    first, second = Member.start(tiny(seed=1)), Member.start(tiny(seed=2))
    pack = Pack([first, second], banks_for(tiny()), CPU)
    before = second.state.weights.clone()
    pack.step()
    pack.write_back(second)
    assert torch.equal(second.state.weights[0], pack.state.weights[1])
    assert not torch.equal(second.state.weights, before)
    assert second.state.step.tolist() == [1]
    pack.step()  # the copy does not follow
    assert second.state.step.tolist() == [1]
    assert not torch.equal(second.state.weights[0], pack.state.weights[1])


def test_a_pack_goes_when_it_is_let_go():
    """On a GPU it holds most of the memory: it must not wait for a collection of cycles."""
    pack = pack_of(tiny(), tiny(P=9))
    pack.step()
    gone = weakref.ref(pack)
    gc.disable()
    try:
        del pack
        assert gone() is None
    finally:
        gc.enable()
