"""What is no whole checkpoint is refused by its name, and nothing in it is run."""

import pickle

import pytest
import torch
from safetensors.torch import load, save

from grokmodel.core import checkpoint
from grokmodel.core.checkpoint import (
    CheckpointError,
    dump_snapshot,
    dump_state,
    load_snapshot,
    load_state,
)
from grokmodel.image.pack import Member
from tests.grokmodel.checkpoints import rewritten
from tests.grokmodel.pickles import MakesAFile

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


def test_a_curve_that_makes_no_sense_is_refused(trained):
    data = dump_state(trained)
    kept = load(data)["curve"]
    backwards, beyond = kept.flip(0), kept + 1000.0
    for curve in (kept[0], kept[:, :2], torch.full((2, 9), torch.nan), backwards, beyond):
        with pytest.raises(CheckpointError, match="curve"):
            load_state(Member, rewritten(data, load(data) | {"curve": curve.double().contiguous()}))
    with pytest.raises(CheckpointError, match="need float64"):
        load_state(Member, rewritten(data, load(data) | {"curve": kept.to(torch.complex64)}))
