"""A step must be one that a CUDA graph can hold: all on the device, nothing read back. That is
checked without a GPU on the `meta` device, whose tensors have no content that one could read."""

import sys
import threading
import weakref

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from grokmodel.core import training
from grokmodel.core.execution import default_mode, has_compiler
from grokmodel.image.config import TrialConfig
from grokmodel.image.pack import Member, Pack
from grokmodel.tokens.config import TokensConfig
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


PRE = {"heads": 2, "norm": "pre", "loss": "velocity"}


@pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler and Python's headers")
@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        pytest.param(PRE, 1e-4, marks=pytest.mark.cluster),
        pytest.param({**PRE, "precision": "bfloat16"}, 2e-3, marks=pytest.mark.cluster),
        pytest.param({"N": 3, "variant": "sandwich"}, 1e-4, marks=pytest.mark.slow),
    ],
)
def test_compiled_members_train_as_others(changes, tolerance):
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
    assert not training.GAVE_UP.is_set()
    assert gap < tolerance
    torch.testing.assert_close(plain.loss_sum_M, compiled.loss_sum_M, rtol=tolerance, atol=0)


LONG = {
    "steps": 10 * int(TrialConfig.worth_compiling / tiny(steps=10, eval_every=10).cost),
    "eval_every": 10,
}


@pytest.fixture
def compiler(monkeypatch):
    """A machine that has one: no test here compiles by it."""
    monkeypatch.setenv("CXX", sys.executable)
    assert has_compiler()


def test_long_trials_are_compiled_on_a_cpu(compiler):
    assert default_mode(CPU, [tiny(), tiny(**LONG)]) == "compiled"
    assert default_mode(CPU, [tiny()]) == "eager"
    assert default_mode(CPU) == "eager"
    assert default_mode(CPU, [TokensConfig(steps=10**6)]) == "eager"  # it would be no faster
    assert default_mode(torch.device("cuda"), [tiny(**LONG)]) == "graph"


def test_without_a_compiler_steps_are_eager(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert default_mode(CPU, [tiny(**LONG)]) == "eager"


def test_without_a_gpu_a_graph_is_no_reason_to_keep_stopped_members():
    banks = banks_for(tiny())
    packs = [Pack([Member.start(tiny())], banks, CPU, mode) for mode in ("eager", "graph")]
    assert [pack.restack_at for pack in packs] == [1.0, 1.0]


@pytest.fixture
def failing(monkeypatch):
    """`torch.compile` finds out at the first call what is wrong."""

    def install(error):
        def call(*args):
            raise error

        monkeypatch.setattr(torch, "compile", lambda function, dynamic: call)
        monkeypatch.setattr(training, "GAVE_UP", threading.Event())

    return install


def test_steps_that_cannot_be_compiled_are_eager_and_it_is_said_once(failing, caplog):
    failing(TorchDynamoException("g++: error: unrecognized option"))
    banks = banks_for(tiny())
    eager, first, second = (
        Pack([Member.start(tiny())], banks, CPU, mode) for mode in ("eager", "compiled", "compiled")
    )
    for pack in (eager, first, second):
        pack.step()
        assert torch.equal(pack.state.weights, eager.state.weights)
        assert pack.restack_at == 1.0  # stopped members can go at once
    third = Pack([Member.start(tiny())], banks, CPU, "compiled")
    third.step()
    (said, again) = (record.getMessage() for record in caplog.records)
    assert "unrecognized option" in said
    assert said == again  # of the second, which had begun before
    assert third.restack_at == 1.0


def test_other_errors_of_a_compiled_step_are_not_taken_for_the_compilers(failing):
    failing(torch.OutOfMemoryError("24 GiB"))
    pack = Pack([Member.start(tiny())], banks_for(tiny()), CPU, "compiled")
    with pytest.raises(torch.OutOfMemoryError):
        pack.step()


def test_a_closed_pack_is_gone(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: lambda *args: function(*args))
    pack = Pack([Member.start(tiny())], banks_for(tiny()), CPU, "compiled")
    pack.step()
    pack.close()
    gone = weakref.ref(pack)
    del pack
    assert gone() is None
