"""A member reads back as it was written, and goes on as if it had never stopped."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from grokmodel.core import checkpoint
from grokmodel.core.checkpoint import (
    STATE_ROWS,
    CheckpointError,
    dump_snapshot,
    dump_state,
    load_snapshot,
    load_state,
)
from grokmodel.core.outcome import EVALUATION_FIELDS
from grokmodel.image.pack import Member
from tests.grokmodel.checkpoints import assert_identical, rewritten
from tests.grokmodel.pickles import MakesAFile
from tests.grokmodel.tiny import curve_array, rounds, tiny, train_together


def train_and_dump(configs, at):
    """Members trained to the end, and each as bytes in the middle, at step `at`."""
    members = [Member.start(c) for c in configs]
    dumps = []
    for r in rounds(members):
        if members[0].step == at:
            r.write_back()
            dumps = [dump_state(m) for m in members]
    return members, dumps


# --- resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 5, 15])
@pytest.mark.parametrize(
    "configs",
    [
        [tiny()],
        [tiny(N=2, loss="velocity", variant="sandwich", depth=2)],
        [tiny(optimizer="grokfast"), tiny(optimizer="grokfast", weight_clip=1.0, seed=2)],
        [tiny(optimizer="muon", heads=2)],
        [tiny(seed=1), tiny(seed=2, P=11, lr=3e-3), tiny(seed=3, N=2)],
    ],
    ids=["alone", "another shape", "grokfast", "muon", "a pack"],
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(configs, at):
    uninterrupted, dumps = train_and_dump(configs, at)
    resumed = [load_state(Member, data) for data in dumps]
    assert [m.step for m in resumed] == [at] * len(configs)
    for _ in rounds(resumed):
        pass
    for member, other in zip(resumed, uninterrupted):
        assert_identical(member, other)


# --- round trip -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["trained", "fresh", "diverged"])
def member(request, trained):
    if request.param == "diverged":
        (sick,) = train_together(tiny(lr=1e30))
        assert not np.isfinite(sick.curve[-1].loss)
        return sick
    return trained if request.param == "trained" else Member.start(tiny())


def test_a_state_reads_back_as_written(member):
    data = dump_state(member)
    back = load_state(Member, data)
    for row in STATE_ROWS:
        mine, theirs = getattr(back.state, row), getattr(member.state, row)
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(member.curve))
    assert (back.config, back.wall_s) == (member.config, member.wall_s)
    assert dump_state(back) == dump_state(member) == data
    back.state.weights.add_(1.0)  # the average is no view of them
    assert dump_snapshot(back) == dump_snapshot(member)


@pytest.mark.parametrize("dump", [dump_snapshot, dump_state])
def test_a_snapshot_holds_average_curve_and_step(trained, dump):
    back = load_snapshot(Member, dump(trained))
    assert back.config == trained.config
    assert torch.equal(back.state.average, trained.state.average)
    assert back.state.step.tolist() == [trained.config.steps]
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(trained.curve))


# --- damage ---------------------------------------------------------------------------------------


NOW = checkpoint.SCIENCE_VERSION


@pytest.mark.parametrize("read", [load_state, load_snapshot])
def test_bytes_cut_short_anywhere_or_too_long_are_refused(trained, read):
    data = dump_state(trained)
    with pytest.raises(CheckpointError):
        read(Member, data + b"\0")
    for length in (0, 1, 7, 8, 9, 100, 2000, len(data) // 2, len(data) - 1):
        with pytest.raises(CheckpointError, match=r"step=5\.safetensors"):
            read(Member, data[:length], "step=5.safetensors")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 100,
        b"not a checkpoint at all, but a text",
        bytes(range(256)) * 40,
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        save({"average": torch.zeros(3)}),
        save({"average": torch.zeros(3)}, {"grok": "no JSON"}),
        save({"average": torch.zeros(3)}, {"grok": "[]"}),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("read", [load_state, load_snapshot])
def test_garbage_is_refused(garbage, read):
    with pytest.raises(CheckpointError, match="somewhere"):
        read(Member, garbage, "somewhere")


@pytest.mark.parametrize("read", [load_state, load_snapshot])
def test_a_pickle_is_refused_and_not_run(tmp_path, read):
    torch.save({"weights": MakesAFile(tmp_path / "ran")}, tmp_path / "model.pt")
    for data in (pickle.dumps(MakesAFile(tmp_path / "ran")), (tmp_path / "model.pt").read_bytes()):
        with pytest.raises(CheckpointError):
            read(Member, data)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"science_version": NOW + 1}, rf"science version .*{NOW + 1}.*need .*{NOW}"),
        ({"format": "grok-member-0"}, rf"grok-member-0.*need .*{checkpoint.FORMAT}"),
        ({"config": {"width": 32}}, r"weights is .*need float32 of shape"),
        ({"config": {"P": 2}}, "P = 2"),
        ({"config": None}, "damaged"),
        ({"config": [1]}, "damaged"),
        ({"wall_s": "soon"}, "damaged"),
        ({"wall_s": None}, "damaged"),
        ({"wall_s": float("nan")}, "wall_s is"),
        ({"wall_s": -1.0}, "wall_s is"),
        ({"curve_fields": ["step"]}, "curve of"),
        ({"curve_fields": None}, "damaged"),
    ],
)
def test_a_header_with_another_entry_is_refused(trained, changes, words):
    with pytest.raises(CheckpointError, match=words):
        load_state(Member, rewritten(dump_state(trained), **changes))


def test_tensors_that_do_not_go_together_are_refused(trained):
    data = dump_state(trained)
    for step in ({}, {"step": torch.tensor([15])}):
        tensors = {k: v for k, v in load(data).items() if k != "step"} | step
        with pytest.raises(CheckpointError, match=r"no step counter|need that of the curve"):
            load_state(Member, rewritten(data, tensors))
    with pytest.raises(CheckpointError, match="weights is None; need float32"):
        load_state(Member, dump_snapshot(trained))


def test_a_curve_from_before_a_field_is_read_and_one_without_its_needed_fields_is_not(trained):
    data, kept = dump_state(trained), load(dump_state(trained))["curve"]
    for fields, is_read in ((len(EVALUATION_FIELDS) - 1, True), (6, False)):
        tensors = load(data) | {"curve": kept[:, :fields].contiguous()}
        old = rewritten(data, tensors, curve_fields=EVALUATION_FIELDS[:fields])
        if is_read:
            assert [e.step for e in load_state(Member, old).curve] == kept[:, 0].tolist()
        else:
            with pytest.raises(CheckpointError, match="curve of"):
                load_state(Member, old)


def test_a_curve_that_makes_no_sense_is_refused(trained):
    data = dump_state(trained)
    kept = load(data)["curve"]
    backwards, beyond = kept.flip(0), kept + 1000.0
    for curve, words in (
        (kept[0], "curve of"),
        (kept[:, :2], "curve of"),
        (torch.full((2, kept.shape[1]), torch.nan), "need ascending"),
        (backwards, "need ascending"),
        (kept.repeat_interleave(2, 0), "need ascending"),
        (beyond, "need ascending"),
    ):
        with pytest.raises(CheckpointError, match=words):
            load_state(Member, rewritten(data, load(data) | {"curve": curve.double().contiguous()}))
    with pytest.raises(CheckpointError, match="need float64"):
        load_state(Member, rewritten(data, load(data) | {"curve": kept.to(torch.complex64)}))
