"""What is no whole checkpoint is refused by its name, and nothing in it is run."""

import pickle

import numpy as np
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
from tests.grokmodel.checkpoints import assert_identical, rewritten
from tests.grokmodel.pickles import MakesAFile


@pytest.mark.parametrize("read", [load_state, load_snapshot])
def test_bytes_cut_short_anywhere_are_refused(trained, read):
    data = dump_state(trained)
    for length in (0, 1, 7, 8, 9, 100, 2000, len(data) // 2, len(data) - 1):
        with pytest.raises(CheckpointError, match=r"step=5\.safetensors"):
            read(Member, data[:length], "step=5.safetensors")


def test_bytes_after_the_end_are_refused(trained):
    with pytest.raises(CheckpointError):
        load_state(Member, dump_state(trained) + b"\0")


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
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
    ids=[
        "empty",
        "zeros",
        "text",
        "bytes",
        "a list",
        "no metadata",
        "deep nesting",
        "no header",
        "header is no JSON",
        "header is a list",
    ],
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


def test_another_science_version_is_refused(trained):
    now = checkpoint.SCIENCE_VERSION
    later = rewritten(dump_state(trained), science_version=now + 1)
    with pytest.raises(CheckpointError, match=rf"science version .*{now + 1}.*need .*{now}"):
        load_state(Member, later)


def test_another_format_is_refused(trained):
    with pytest.raises(CheckpointError, match=rf"grok-member-0.*need .*{checkpoint.FORMAT}"):
        load_state(Member, rewritten(dump_state(trained), format="grok-member-0"))


def test_a_snapshot_is_no_state(trained):
    with pytest.raises(CheckpointError, match="weights is None; need float32"):
        load_state(Member, dump_snapshot(trained))


def test_a_state_without_its_step_is_refused(trained):
    data = dump_state(trained)
    tensors = load(data)
    tensors.pop("step")
    with pytest.raises(CheckpointError, match="no step counter"):
        load_state(Member, rewritten(data, tensors))


def test_weights_of_another_shape_are_refused(trained):
    other = trained.config.to_dict() | {"width": 32}
    with pytest.raises(CheckpointError, match=r"weights is .*need float32 of shape"):
        load_state(Member, rewritten(dump_state(trained), config=other))


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"P": 2}},
        {"config": {"unknown": 1}},
        {"config": None},
        {"config": [1]},
        {"config": "text"},
        {"wall_s": "soon"},
        {"wall_s": None},
        {"curve_fields": ["step"]},
        {"curve_fields": None},
    ],
)
def test_a_header_with_a_wrong_entry_is_refused(trained, changes):
    with pytest.raises(CheckpointError):
        load_state(Member, rewritten(dump_state(trained), **changes))


def test_a_curve_that_makes_no_sense_is_refused(trained):
    data = dump_state(trained)
    kept = load(data)["curve"]
    backwards, beyond = kept.flip(0), kept + 1000.0
    for curve in (kept[0], kept[:, :2], torch.full((2, 9), torch.nan), backwards, beyond):
        with pytest.raises(CheckpointError, match="curve"):
            load_state(Member, rewritten(data, load(data) | {"curve": curve.double().contiguous()}))
    with pytest.raises(CheckpointError, match="need float64"):
        load_state(Member, rewritten(data, load(data) | {"curve": kept.to(torch.complex64)}))


@pytest.mark.parametrize("wall_s", [float("nan"), float("inf"), -1.0])
def test_a_time_that_makes_no_sense_is_refused(trained, wall_s):
    with pytest.raises(CheckpointError, match="wall_s is"):
        load_state(Member, rewritten(dump_state(trained), wall_s=wall_s))


def test_a_step_that_is_not_the_curves_is_refused(trained):
    data = dump_state(trained)
    with pytest.raises(CheckpointError, match="step 15; need that of the curve"):
        load_state(Member, rewritten(data, load(data) | {"step": torch.tensor([15])}))


def test_a_flipped_byte_is_noticed(trained):
    data = dump_state(trained)
    rng = np.random.default_rng(0)
    size = int.from_bytes(data[:8], "little")
    places = [*range(8), *rng.integers(8, 8 + size, 300), *rng.integers(0, len(data), 100)]
    refused = 0
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        try:
            member = load_state(Member, bytes(damaged))
        except CheckpointError:
            refused += 1
            continue
        assert_identical(member, trained)  # such as a space that is now a tab
    assert refused > 0.95 * len(places)
