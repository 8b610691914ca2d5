"""Damaged checkpoints and decoders: an error that names the file, or what was written."""

import json

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from safetensors.torch import load, save

from grokmodel.core import checksummed
from grokmodel.core.checkpoint import (
    STATE_ROWS,
    CheckpointError,
    dump_snapshot,
    dump_state,
    load_snapshot,
    load_state,
)
from grokmodel.image.config import FIELDS
from grokmodel.image.decoder import RECIPES, CnnDecoder, decoder_key, load_decoder
from grokmodel.image.pack import Member
from service.data import decoders
from service.settings import Settings
from service.store import keys
from service.store.store import Store
from tests.grokmodel.tiny import curve_array, synthetic_bank, tiny, train_together
from tests.properties.strategies import ANYTHING, JSON, Damage, damages, edge_fields, share

ORIGIN = "store/step=5.safetensors"
(TRAINED,) = train_together(tiny(N=2, optimizer="grokfast"))
STATE, SNAPSHOT = dump_state(TRAINED), dump_snapshot(TRAINED)
HEAD = 8 + int.from_bytes(STATE[:8], "little")
"""Bytes of a state before its tensors."""
torch.manual_seed(0)
DECODER = CnnDecoder(5, 9).eval()
SEALED = checksummed.dump(DECODER.state_dict(), {"recipe": "quick"})


def read(reader, data):
    """The member, or None if the file is refused by name."""
    try:
        return reader(Member, data, ORIGIN)
    except CheckpointError as refusal:
        error = refusal
    assert str(error).startswith(f"{ORIGIN}: ")
    assert len(str(error)) < 2000
    return None


# --- damage --------------------------------------------------------------------------------------


@share(7)
@given(damages(), st.booleans())
@example(Damage("flip", (HEAD + 3) / len(STATE), 1, b""), False)  # one bit of a weight
@example(Damage("flip", 1 - 1e-9, 128, b""), False)
def test_a_damaged_file_is_refused_or_what_was_written(damage, is_snapshot):
    if is_snapshot:
        member = read(load_snapshot, damage(SNAPSHOT))
    else:
        member = read(load_state, damage(STATE))
    if member is not None:
        assert dump_snapshot(member) == dump_snapshot(TRAINED)
        assert is_snapshot or dump_state(member) == dump_state(TRAINED)


@share(3)
@given(st.integers(HEAD, len(STATE) - 1), st.integers(1, 255))
def test_a_flip_in_the_tensors_is_refused(place, bits):
    data = bytearray(STATE)
    data[place] ^= bits
    assert read(load_state, bytes(data)) is None


@share(5)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    for reader in (load_state, load_snapshot):
        assert read(reader, data) is None
        assert read(reader, len(data).to_bytes(8, "little") + data) is None


# --- what another program may write --------------------------------------------------------------

ENTRIES = ["format", "science_version", "config", "curve_fields", "wall_s", "crc32", "new"]


def unsealed(tensors, **changes):
    """A state without a checksum."""
    header = checksummed.header(STATE) | changes
    header.pop("crc32", None) if "crc32" not in changes else None
    return save(tensors, {"grok": json.dumps(header)})


@share(2)
@given(st.sampled_from(ENTRIES), JSON)
@example("wall_s", float("nan"))
@example("wall_s", 10**400)
@example("curve_fields", {"step": 1})
def test_any_header_entry_is_refused_or_means_what_it_says(name, value):
    member = read(load_state, unsealed(load(STATE), **{name: value}))
    if member is not None:
        same = checksummed.header(STATE).get(name) == value
        assert same or name in ("wall_s", "new", "config", "crc32")
        assert member.wall_s >= 0


@share(2)
@given(st.sampled_from(list(FIELDS)), ANYTHING)
def test_a_wrong_config_inside_is_refused(name, value):
    config = TRAINED.config.to_dict() | {name: value}
    try:
        data = unsealed(load(STATE), config=config)
    except (TypeError, ValueError):  # JSON cannot hold it
        assume(False)
    member = read(load_state, data)
    if member is not None:
        assert member.state.weights.shape == TRAINED.state.weights.shape


DTYPES = [torch.float16, torch.float64, torch.bfloat16, torch.int32, torch.uint8, torch.bool]
DTYPES += [torch.complex64, torch.float8_e4m3fn]


CHANGES = {
    "longer": lambda row: torch.cat([row, row[:1]]),
    "shorter": lambda row: row[:-1].contiguous(),
    "deeper": lambda row: row[None],
    "scalar": lambda row: row.reshape(-1)[0],
    "empty": lambda row: row[:0],
}


@share(3)
@given(
    st.sampled_from([*STATE_ROWS, "step", "curve"]),
    st.sampled_from([*CHANGES, "gone", "dtype"]),
    st.sampled_from(DTYPES),
)
def test_tensors_of_another_kind_are_refused(name, change, dtype):
    tensors = load(STATE)
    row = tensors.pop(name)
    if change == "dtype":
        assume(row.dtype != dtype)
        tensors[name] = row.to(dtype)
    elif change in CHANGES:
        tensors[name] = CHANGES[change](row)
    assert read(load_state, unsealed(tensors)) is None


# --- round trip ----------------------------------------------------------------------------------


@share(0.1)
@given(edge_fields())
def test_members_of_any_shape_read_back_as_written(fields):
    fields |= {"train_fraction": 0.5, "t_mean": 3.0, "lr": 1e-3, "init_scale": 0.5}
    fields |= {"P": 5, "eval_pairs": 2, "final_sample_steps": 1}
    (member,) = train_together(tiny(**fields))
    back = load_state(Member, dump_state(member))
    for name in (*STATE_ROWS, "step"):
        mine, theirs = getattr(back.state, name), getattr(member.state, name)
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(curve_array(back.curve), curve_array(member.curve))
    assert dump_state(back) == dump_state(member)


# --- decoders ------------------------------------------------------------------------------------


@share(2)
@given(damages())
def test_a_damaged_decoder_is_noticed_or_what_was_written(damage):
    try:
        found = load_decoder(damage(SEALED), 5, 9)
    except checksummed.DamagedError:
        return
    for name, tensor in DECODER.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_decoder_comes_back_by_the_recipe_that_made_it_and_reads_alike(recipe):
    model = CnnDecoder(5, 9, recipe).eval()
    back = load_decoder(checksummed.dump(model.state_dict(), {"recipe": recipe}), 5, 9)
    assert back.recipe == recipe
    images = torch.rand(3, 9, 9)
    assert torch.equal(back(images), model(images))  # in training a CNN reads batches, and drops


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (save(DECODER.state_dict()), "no header"),
        (checksummed.dump(DECODER.state_dict(), {"recipe": "best"}), "recipe 'best'"),
        *(
            (checksummed.dump(other.state_dict(), {"recipe": "quick"}), "of another shape")
            for other in (CnnDecoder(6, 9), CnnDecoder(5, 12), CnnDecoder(5, 9).double())
        ),
    ],
    ids=range(5),
)
def test_a_decoder_of_another_kind_is_noticed(data, words):
    with pytest.raises(checksummed.DamagedError, match=words):
        load_decoder(data, 5, 9)


def test_a_damaged_decoder_is_trained_again(tmp_path, monkeypatch, caplog):
    """Its recipe is fixed, so nothing is lost; the file is named in the log."""
    store, bank = Store(Settings(str(tmp_path), "", "", None)), synthetic_bank(5, 2, 9)
    key = keys.decoder_key(decoder_key(bank))
    store.put(key, SEALED[:-1])
    monkeypatch.setattr(decoders, "train_decoder", lambda bank: DECODER)
    assert decoders.get_decoder(store, ("glyphs", 5, 2, 9, "plain", ""), bank) is DECODER
    assert key in caplog.text
    assert store.get(key) == SEALED
