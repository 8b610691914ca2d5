import numpy as np
import pytest
import torch

from grokmodel.core.checkpoint import dump_snapshot, dump_state, load_snapshot, load_state
from grokmodel.parity.evaluate import accuracy_at, evaluate
from grokmodel.parity.pack import Member
from tests.grokmodel.checkpoints import assert_identical
from tests.grokmodel.parity.handmade import parity_network
from tests.grokmodel.parity.tiny import pack_of, rounds, tiny, train_together
from tests.grokmodel.tiny import curve_array

MIXED = [
    {"seed": 11},
    {"seed": 12, "train_fraction": 0.4, "gain": 0.3},
    {"seed": 13, "batches": "mixed", "lr": 0.1, "warmup": 0},
    {"seed": 14, "batches": "mixed", "train_fraction": 0.1, "cooldown": 10},
]
"""Changes of the members of a pack."""


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(len(MIXED)))
def test_an_epoch_goes_once_through_all_training_sequences_in_an_order_of_its_own(place):
    configs = [tiny(**changes) for changes in MIXED]
    pack, config = pack_of(*configs), configs[place]
    steps = int(pack.epoch_steps_M[place])
    epochs = []
    for epoch in range(3):
        seen = []
        for step in range(epoch * steps, (epoch + 1) * steps):
            nodes, shares = (x[place] for x in pack.batch(torch.full((len(MIXED),), step)))
            real = nodes[shares > 0]
            assert float(shares.sum()) == pytest.approx(1)
            assert 1 <= len(real) <= config.batch
            lengths = pack.length_K[real]
            assert config.batches == "mixed" or lengths.min() == lengths.max()
            seen += real.tolist()
        assert sorted(seen) == pack.train[place].tolist()
        if config.batches == "one length":
            lengths = pack.length_K[seen]
            assert (lengths.diff() >= 0).all()
        epochs.append(seen)
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_setting_of_the_paper_has_so_many_batches_in_an_epoch():
    sizes = {"max_length": 10, "batch": 128, "val_length": 11}
    pack = pack_of(tiny(**sizes), tiny(**sizes, batches="mixed"))
    assert pack.epoch_steps_M.tolist() == [21, 16]
    assert pack.rows_MS[0].tolist() == [2, 4, 8, 16, 32, 64, *[128] * 15]
    assert pack.rows_MS[1].tolist() == [*[128] * 15, 126, *[0] * 5]


# --- packed = alone, resumed = uninterrupted ------------------------------------------------------


def test_a_member_trains_the_same_in_a_mixed_pack_as_alone():
    configs = [tiny(**changes) for changes in MIXED]
    forwards, backwards = train_together(*configs), train_together(*configs[::-1])
    for config, member, other in zip(configs, forwards, backwards[::-1], strict=True):
        (alone,) = train_together(config)
        for found in (member, other):
            assert [e.step for e in found.curve] == [e.step for e in alone.curve]
            arrays = [curve_array(m.curve) for m in (found, alone)]
            np.testing.assert_allclose(*arrays, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(found.state.weights, alone.state.weights)


@pytest.mark.parametrize("at", [0, 5, 20])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(at):
    members = [Member.start(tiny(**changes)) for changes in MIXED]
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
    assert torch.equal(back.state.average, members[1].state.weights)


def test_a_step_is_plain_sgd_and_the_weights_are_what_is_evaluated():
    pack = pack_of(tiny(warmup=0), tiny(seed=2, warmup=4, lr=0.1))
    for _ in range(3):
        weights = pack.state.weights.clone().requires_grad_()
        step = int(pack.state.step[0])
        (gradient,) = torch.autograd.grad(pack.loss(weights, pack.state.step).sum(), weights)
        pack.step()
        rates = torch.tensor([0.05, 0.1 * (step + 1) / 4])
        torch.testing.assert_close(pack.state.weights, weights - rates[:, None] * gradient)
        assert torch.equal(pack.state.average, pack.state.weights)
        assert not pack.state.first.any()


def test_a_step_reads_nothing_back():
    """As a CUDA graph needs it: on the meta device, whose tensors have no content."""
    pack = pack_of(*(tiny(**changes) for changes in MIXED))
    for holder in (pack, pack.state, pack.hyper, pack.optimizer):
        for name, value in vars(holder).items():
            if isinstance(value, torch.Tensor):
                object.__setattr__(holder, name, value.to("meta"))
    pack.device = torch.device("meta")
    pack.step()
    assert pack.loss_sum_M.is_meta


# --- evaluation -----------------------------------------------------------------------------------


def test_a_network_that_computes_parity_is_right_about_any_length():
    pack = pack_of(tiny(hidden=3), tiny(hidden=3, seed=2, train_fraction=0.5))
    row = torch.cat([part.flatten() for part in parity_network().values()])
    pack.state.weights[:] = pack.state.average[:] = row
    for found in evaluate(pack, pack.loss_sum_M):
        assert (found.train_acc, found.val_acc, found.val_acc_strict) == (1, 1, 1)
        assert found.val_loss == pytest.approx(0.25)  # it says (1/2, -1/2) or (-1/2, 1/2)
    assert accuracy_at(pack, 500, 30) == [1, 1]
    pack.state.average[0, -2:] = torch.tensor([-9.0, 9.0])  # always odd
    always, _ = evaluate(pack, pack.loss_sum_M)
    assert always.train_acc == 0.5
    assert 0 < always.val_acc == float((pack.val_MQT[0].sum(1) % 2).float().mean()) < 1
    pack.state.average[0] = torch.nan
    broken, _ = evaluate(pack, pack.loss_sum_M)
    assert (broken.train_acc, broken.val_acc) == (0, 0)


def test_validation_sequences_are_a_function_of_the_seed():
    first, second = pack_of(tiny(), tiny(seed=2)), pack_of(tiny(seed=2))
    assert torch.equal(first.val_MQT[1], second.val_MQT[0])
    assert not torch.equal(first.val_MQT[0], first.val_MQT[1])
    assert abs(float(first.random_sequences(100, 50).float().mean()) - 0.5) < 0.02
