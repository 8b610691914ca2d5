"""A step must be one that a CUDA graph can hold: all on the device, nothing read back. That is
checked without a GPU on the `meta` device, whose tensors have no content that one could read."""

import pytest
import torch

from grokmodel.image.pack import Member, Pack
from tests.grokmodel.tiny import CPU, banks_for, tiny

KINDS = [
    {},
    {"N": 3, "loss": "velocity"},
    {"N": 3, "batch": 16},
    {"variant": "sandwich", "depth": 2, "heads": 2, "patch": 4},
    {"precision": "bfloat16", "heads": 2, "norm": "pre", "activation": "swiglu"},
]


def without_content(pack):
    """The pack with all its tensors on the meta device."""
    pack.device = torch.device("meta")
    for holder in (pack, pack.bank, pack.state, pack.hyper):
        for name, value in vars(holder).items():
            if isinstance(value, torch.Tensor):
                object.__setattr__(holder, name, value.to("meta"))
    pack.optimizer = Update(pack)
    return pack


class Update:
    """All that the optimizer does but torch's own kernel, which has no version without content."""

    def __init__(self, pack):
        self.own = pack.optimizer
        self.own.state, self.own.hyper = pack.state, pack.hyper
        for name in ("lr_M", "step_M"):
            setattr(self.own, name, getattr(self.own, name).to("meta"))
        self.own.groups = []

    def update(self, grad):
        assert (grad.device.type, grad.dtype) == ("meta", torch.float32)
        self.own.update(grad)


@pytest.mark.parametrize("changes", KINDS)
def test_a_step_stays_on_the_device_and_reads_nothing_back(changes):
    configs = [tiny(**changes), tiny(**changes, P=9, seed=2)]
    pack = without_content(Pack([Member.start(c) for c in configs], banks_for(*configs), CPU))
    pack.step()
    assert pack.loss_sum_M.is_meta


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"N": 3, "variant": "sandwich"}])
def test_compiled_members_train_as_others(changes):
    configs = [tiny(**changes), tiny(**changes, P=9, seed=2)]
    banks = banks_for(*configs)
    plain, compiled = (
        Pack([Member.start(c) for c in configs], banks, CPU, program)
        for program in ("eager", "compiled")
    )
    for _ in range(5):
        plain.step()
        compiled.step()
    gap = (plain.state.weights - compiled.state.weights).norm() / plain.state.weights.norm()
    assert gap < 1e-4
    torch.testing.assert_close(plain.loss_sum_M, compiled.loss_sum_M, rtol=1e-4, atol=0)
