"""A plan file: what comes back is what was written, and what is damaged is refused by name."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest
import torch

from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.data.glyphs import glyph_bank
from grokmodel.image.decoder import CnnDecoder
from grokmodel.image.family import ImageInputs
from grokmodel.image.pack import bank_key
from grokmodel.run import archive
from grokmodel.run.archive import Archive, ArchiveError
from grokmodel.run.plan import PLAN, read_plan, write_plan
from tests.grokmodel.runs import plan_of, run
from tests.grokmodel.tiny import tiny

CONFIGS = [tiny(seed=0), tiny(seed=1), tiny(N=2)]


@pytest.fixture
def plan(tmp_path):
    return plan_of(tmp_path / "plan.zip", *CONFIGS)


def changed(path, name, data):
    """The plan with another part."""
    found = Archive(path, "")
    parts = {each: found.read(each) for each in found.names}
    archive.write(path, parts | {name: data})


def said(path):
    return json.loads(Archive(path, "").read(PLAN))


def test_a_plan_comes_back_with_images_as_a_model_sees_them(tmp_path):
    config = tiny(N=2, P=6, side=12, patch=12)
    whole = glyph_bank(6, 4, 12)
    bank = dataclasses.replace(whole, images=whole.images[:, :2])  # a view, as of real data
    torch.manual_seed(0)
    decoder, key = CnnDecoder(6, 12).eval(), bank_key(config)
    inputs = ImageInputs({key: bank}, {key: decoder})
    write_plan(tmp_path / "plan.zip", "far", [config], inputs, "abc")
    found = read_plan(tmp_path / "plan.zip")
    assert (found.outline.sweep, found.configs, found.outline.commit) == ("far", [config], "abc")
    back = found.inputs.banks[key]
    assert (back.labels, back.fingerprint) == (bank.labels, bank.fingerprint)
    assert back.std == bank.std
    for name in ("mean", "standardized", "standardized_heldout", "heldout"):
        np.testing.assert_array_equal(getattr(back, name), getattr(bank, name))
    images = torch.rand(9, 12, 12)
    assert torch.equal(found.inputs.decoders[key](images), decoder(images))


def test_the_same_trials_give_the_same_bytes(plan, tmp_path):
    other = plan_of(tmp_path / "again.zip", *CONFIGS)
    assert other.read_bytes() == plan.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("data", [b"", b"a thesis", None])
def test_what_is_no_zip_file_is_named(tmp_path, capsys, data):
    path = tmp_path / "thesis.zip"
    if data is not None:
        path.write_bytes(data)
    assert run(path, tmp_path / "out") == 2
    line = capsys.readouterr().err
    assert line.startswith(f"grokmodel.run: {path}: ")
    assert "need a plan of grok_phase.py --export" in line
    assert len(line.splitlines()) == 1


def test_a_zip_file_of_something_else_is_named(tmp_path):
    archive.write(tmp_path / "a.zip", {"b": b""})
    with pytest.raises(ArchiveError, match=r"a\.zip: has no plan\.json; need a plan"):
        read_plan(tmp_path / "a.zip")


def test_a_plan_of_another_science_version_is_refused(plan):
    body = said(plan) | {"science_version": SCIENCE_VERSION + 1}
    changed(plan, PLAN, json.dumps(body).encode())
    words = rf"science version \(1, {SCIENCE_VERSION + 1}\); need \(1, {SCIENCE_VERSION}\)"
    with pytest.raises(ArchiveError, match=words):
        read_plan(plan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": -5}, "steps = -5 is not allowed"),
        ({"colour": 1}, "colour = 1 is not allowed"),
        ({"seed": 77}, "has the config of"),
    ],
)
def test_a_damaged_config_is_refused(plan, change, words):
    body = said(plan)
    next(iter(body["trials"].values())).update(change)
    changed(plan, PLAN, json.dumps(body).encode())
    with pytest.raises(ArchiveError, match=words):
        read_plan(plan)


@pytest.mark.parametrize("text", ["[", "[]", "{}", '{"format": 1}', "null"])
def test_a_plan_that_says_something_else_is_refused(plan, text):
    changed(plan, PLAN, text.encode())
    with pytest.raises(ArchiveError, match=r"plan\.json is damaged"):
        read_plan(plan)


@pytest.mark.parametrize(
    "name", ["banks/0/images.npy", "banks/0/heldout.npy", "banks/1/decoder.safetensors"]
)
def test_damaged_parts_are_named(plan, name):
    changed(plan, name, Archive(plan, "").read(name)[:-3])
    with pytest.raises(ArchiveError, match=f"{name} is damaged"):
        read_plan(plan)


def test_images_of_another_size_are_refused_and_nothing_is_unpickled(plan):
    for images, words in (
        (np.zeros((2, 2), np.float32), r"of shape \(2, 2\)"),
        (np.array([print], dtype=object), "is damaged"),
    ):
        with (plan.parent / "x.npy").open("wb") as out:
            np.save(out, images)
        changed(plan, "banks/0/images.npy", (plan.parent / "x.npy").read_bytes())
        with pytest.raises(ArchiveError, match=words):
            read_plan(plan)


def test_any_flipped_byte_is_noticed_or_harmless(plan):
    data = plan.read_bytes()
    for place in range(0, len(data), len(data) // 60):
        broken = bytearray(data)
        broken[place] ^= 0x10
        plan.write_bytes(broken)
        with contextlib.suppress(ArchiveError):
            assert read_plan(plan).configs == CONFIGS
