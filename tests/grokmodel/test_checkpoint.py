import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from grokmodel import checkpoint, sealed
from grokmodel.checkpoint import (
    CheckpointError,
    dump_snapshot,
    dump_state,
    load_snapshot,
    load_state,
)
from grokmodel.model import Layout
from grokmodel.outcome import FIRST_FIELDS
from grokmodel.pack import Member
from tests.grokmodel.tiny import curve_array, rounds, tiny, train_together

ROWS = ("weights", "first", "second", "average", "step")


def train_and_dump(configs, at):
    """Members trained to the end, and each as bytes in the middle, at step `at`."""
    members = [Member.start(c) for c in configs]
    dumps = []
    for r in rounds(members):
        if members[0].step == at:
            r.write_back()
            dumps = [dump_state(m) for m in members]
    return members, dumps


def assert_identical(member, other):
    """Equal bit for bit."""
    assert member.config == other.config
    for name in ROWS:
        assert torch.equal(getattr(member.state, name), getattr(other.state, name)), name
    np.testing.assert_array_equal(curve_array(member.curve), curve_array(other.curve))


@pytest.fixture(scope="module")
def trained():
    (member,) = train_together(tiny(N=2))
    return member


def rewritten(data, tensors=None, **changes):
    """A checkpoint with other tensors or entries in its header, as another program would write."""
    header = sealed.header(data) | changes
    del header[sealed.CHECKSUM]
    return save(load(data) if tensors is None else tensors, {"grok": json.dumps(header)})


# --- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 5, 15])
@pytest.mark.parametrize(
    "configs",
    [
        [tiny()],
        [tiny(N=2, loss="velocity", variant="sandwich", depth=2)],
        [tiny(seed=1), tiny(seed=2, P=11, lr=3e-3), tiny(seed=3, N=2)],
    ],
    ids=["alone", "another shape", "a pack"],
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(configs, at):
    uninterrupted, dumps = train_and_dump(configs, at)
    resumed = [load_state(data) for data in dumps]
    assert [m.step for m in resumed] == [at] * len(configs)
    for _ in rounds(resumed):
        pass
    for member, other in zip(resumed, uninterrupted):
        assert_identical(member, other)


def test_resuming_twice_is_still_the_uninterrupted_run():
    (uninterrupted,), (data,) = train_and_dump([tiny()], at=5)
    (_, (data,)) = resume_and_dump(data, at=10)
    resumed = load_state(data)
    for _ in rounds([resumed]):
        pass
    assert_identical(resumed, uninterrupted)


def resume_and_dump(data, at):
    member = load_state(data)
    for r in rounds([member]):
        r.write_back()
        if member.step == at:
            return member, [dump_state(member)]
    raise AssertionError(f"no evaluation at step {at}")


# --- round trip ----------------------------------------------------------------------------------


def test_a_state_reads_back_as_written(trained):
    back = load_state(dump_state(trained))
    assert_identical(back, trained)
    assert back.wall_s == trained.wall_s
    assert dump_state(back) == dump_state(trained)


def test_a_fresh_member_without_a_curve_reads_back_as_written():
    fresh = Member.start(tiny())
    assert_identical(load_state(dump_state(fresh)), fresh)


def test_a_curve_with_values_that_are_not_finite_reads_back():
    (sick,) = train_together(tiny(lr=1e30))
    assert not np.isfinite(sick.curve[-1].loss)
    back = load_state(dump_state(sick))
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(sick.curve))


def test_writing_does_not_change_the_member(trained):
    before = trained.state.weights.clone()
    dump_state(trained)
    dump_snapshot(trained)
    assert torch.equal(trained.state.weights, before)


def test_a_loaded_state_does_not_alias_the_average(trained):
    back = load_state(dump_state(trained))
    back.state.weights.add_(1.0)
    assert torch.equal(back.state.average, trained.state.average)


@pytest.mark.parametrize("dump", [dump_snapshot, dump_state])
def test_a_snapshot_holds_average_curve_and_step(trained, dump):
    back = load_snapshot(dump(trained))
    assert back.config == trained.config
    assert torch.equal(back.state.average, trained.state.average)
    assert back.state.step.tolist() == [trained.config.steps]
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(trained.curve))


def test_a_snapshot_is_much_smaller_than_a_state(trained):
    assert len(dump_snapshot(trained)) < len(dump_state(trained)) / 2


# --- what is no checkpoint -----------------------------------------------------------------------


@pytest.mark.parametrize("read", [load_state, load_snapshot])
def test_bytes_cut_short_anywhere_are_refused(trained, read):
    data = dump_state(trained)
    for length in (0, 1, 7, 8, 9, 100, 2000, len(data) // 2, len(data) - 1):
        with pytest.raises(CheckpointError, match=r"step=5\.safetensors"):
            read(data[:length], "step=5.safetensors")


def test_bytes_after_the_end_are_refused(trained):
    with pytest.raises(CheckpointError):
        load_state(dump_state(trained) + b"\0")


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
        read(garbage, "somewhere")


class MakesAFile:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("read", [load_state, load_snapshot])
def test_a_pickle_is_refused_and_not_run(tmp_path, read):
    torch.save({"weights": MakesAFile(tmp_path / "ran")}, tmp_path / "model.pt")
    for data in (pickle.dumps(MakesAFile(tmp_path / "ran")), (tmp_path / "model.pt").read_bytes()):
        with pytest.raises(CheckpointError):
            read(data)
    assert not (tmp_path / "ran").exists()


def test_another_science_version_is_refused(trained):
    now = checkpoint.SCIENCE_VERSION
    later = rewritten(dump_state(trained), science_version=now + 1)
    with pytest.raises(CheckpointError, match=rf"science version .*{now + 1}.*need .*{now}"):
        load_state(later)


def test_another_format_is_refused(trained):
    with pytest.raises(CheckpointError, match=rf"grok-member-0.*need .*{checkpoint.FORMAT}"):
        load_state(rewritten(dump_state(trained), format="grok-member-0"))


def test_a_curve_from_before_held_out_images_is_read_as_one_that_has_not_measured_them(trained):
    data = dump_state(trained)
    tensors = load(data)
    tensors["curve"] = tensors["curve"][:, : len(FIRST_FIELDS)].contiguous()
    member = load_state(rewritten(data, tensors, curve_fields=FIRST_FIELDS))
    known, missing = np.split(curve_array(member.curve), [len(FIRST_FIELDS)], axis=1)
    np.testing.assert_array_equal(known, curve_array(trained.curve)[:, : len(FIRST_FIELDS)])
    assert np.isnan(missing).all()
    assert missing.shape[1] == 2


def test_a_snapshot_is_no_state(trained):
    with pytest.raises(CheckpointError, match="weights is None; need float32"):
        load_state(dump_snapshot(trained))


def test_a_state_without_its_step_is_refused(trained):
    data = dump_state(trained)
    tensors = load(data)
    tensors.pop("step")
    with pytest.raises(CheckpointError, match="no step counter"):
        load_state(rewritten(data, tensors))


def test_weights_of_another_shape_are_refused(trained):
    other = trained.config.to_dict() | {"width": 32}
    with pytest.raises(CheckpointError, match=r"weights is .*need float32 of shape"):
        load_state(rewritten(dump_state(trained), config=other))


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
        load_state(rewritten(dump_state(trained), **changes))


def test_a_curve_that_makes_no_sense_is_refused(trained):
    data = dump_state(trained)
    kept = load(data)["curve"]
    backwards, beyond = kept.flip(0), kept + 1000.0
    for curve in (kept[0], kept[:, :2], torch.full((2, 9), torch.nan), backwards, beyond):
        with pytest.raises(CheckpointError, match="curve"):
            load_state(rewritten(data, load(data) | {"curve": curve.double().contiguous()}))
    with pytest.raises(CheckpointError, match="need float64"):
        load_state(rewritten(data, load(data) | {"curve": kept.to(torch.complex64)}))


@pytest.mark.parametrize("wall_s", [float("nan"), float("inf"), -1.0])
def test_a_time_that_makes_no_sense_is_refused(trained, wall_s):
    with pytest.raises(CheckpointError, match="wall_s is"):
        load_state(rewritten(dump_state(trained), wall_s=wall_s))


def test_a_step_that_is_not_the_curves_is_refused(trained):
    data = dump_state(trained)
    with pytest.raises(CheckpointError, match="step 15; need that of the curve"):
        load_state(rewritten(data, load(data) | {"step": torch.tensor([15])}))


def test_a_file_without_a_checksum_is_read(trained):
    assert_identical(load_state(rewritten(dump_state(trained))), trained)


def test_a_flipped_byte_is_noticed(trained):
    data = dump_state(trained)
    rng = np.random.default_rng(0)
    size = int.from_bytes(data[:8], "little")
    places = [*range(8), *rng.integers(8, 8 + size, 300), *rng.integers(0, len(data), 100)]
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        try:
            member = load_state(bytes(damaged))
        except CheckpointError:
            continue
        assert_identical(member, trained)  # such as a space that is now a tab


# --- the format before ---------------------------------------------------------------------------


def as_before(member):
    """The bytes that the version with a key bias would have written; its bias is full of ones."""
    data = dump_state(member)
    tensors, layout = load(data), Layout(member.config.shape)
    for name in checkpoint.STATE_ROWS:
        parts = layout.views(tensors[name][None])
        row = []
        for key, part in parts.items():
            row.append(part.flatten())
            if key.endswith(".key.w"):
                row.append(torch.ones(member.config.width))
        tensors[name] = torch.cat(row)
    return rewritten(data, tensors, format=checkpoint.WITH_KEY_BIAS)


@pytest.mark.parametrize("changes", [{}, {"depth": 2, "variant": "sandwich"}])
def test_checkpoints_with_a_key_bias_are_read_without_it(changes):
    (member,) = train_together(tiny(**changes))
    assert_identical(load_state(as_before(member)), member)
    assert torch.equal(load_snapshot(as_before(member)).state.average, member.state.average)
