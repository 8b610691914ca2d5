"""A saved model is the model; what is no saved model is named in one line."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from grokmodel.core import checksummed
from grokmodel.core.checkpoint import dump_snapshot, dump_state
from grokmodel.image.dit import DiT, ModelError
from grokmodel.image.dit.files import CONFIG, WEIGHTS
from grokmodel.image.pack import Member, bank_key
from tests.grokmodel.checkpoints import rewritten
from tests.grokmodel.image.dit.variants import LARGE
from tests.grokmodel.tiny import banks_for, evaluation, tiny


def made(**changes):
    """A member with weights that are not those of its start, and its model."""
    config = tiny(**changes)
    member = Member.start(config)
    member.state.average += 0.1 * torch.randn(member.state.average.shape)
    member.curve = [evaluation(0), evaluation(5)]
    return member, DiT.from_member(member, banks_for(config)[bank_key(config)])


def assert_same(dit, other):
    """Equal bit for bit."""
    assert (dit.config, dit.step) == (other.config, other.step)
    mine, theirs = dit.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture
def folder(tmp_path):
    _, dit = made()
    dit.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("changes", [{}, {"N": 2}, LARGE | {"position": "rotary"}], ids=str)
def test_a_folder_read_again_is_the_model_and_draws_alone(changes, tmp_path):
    _, dit = made(**changes)
    dit.save(tmp_path / "new" / "model")
    again = DiT.load(tmp_path / "new" / "model")
    assert_same(dit, again)
    assert again.symbols.labels == dit.symbols.labels
    drawn = [x.sample(3, 5, n=2, generator=torch.Generator().manual_seed(1)) for x in (dit, again)]
    assert torch.equal(*drawn)


def test_a_model_without_images_of_symbols_is_read_as_such(tmp_path):
    DiT(tiny()).save(tmp_path)
    assert DiT.load(tmp_path).symbols is None


def test_other_programs_read_the_files(folder):
    body, tensors = json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS)
    dit = DiT.load(folder)
    assert body["trial"] == dit.config.to_dict()
    assert body["trial_id"] == dit.config.trial_id
    assert body["symbols"] == list(dit.symbols.labels)
    assert body["pixels"]["input"] == "(image - symbols.mean) / symbols.std"
    assert tensors["block0.attention.to_query.weight"].shape == (16, 16)
    assert tensors.keys() == dit.state_dict().keys()
    assert tensors["symbols.images"].shape == (7, 1, 8, 8)


def test_a_model_is_saved_over_another(folder):
    _, dit = made(seed=2)
    dit.save(folder)
    assert_same(DiT.load(folder), dit)
    assert {path.name for path in folder.iterdir()} == {CONFIG, WEIGHTS}


# --- what is no model -----------------------------------------------------------------------------


def without(name):
    return lambda folder: (folder / name).unlink()


def saying(**changes):
    """Other words in config.json."""

    def change(folder):
        body = json.loads((folder / CONFIG).read_text()) | changes
        (folder / CONFIG).write_text(json.dumps(body))

    return change


def other_tensors(folder):
    tensors = load_file(folder / WEIGHTS)
    tensors["final.linear.bias"] = torch.zeros(3)
    (folder / WEIGHTS).write_bytes(checksummed.dump(tensors, {}))


def flipped(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def written_by_others(folder):
    save_file(load_file(folder / WEIGHTS), folder / WEIGHTS)


def of_another_trial(folder):
    made(width=32)[1].save(folder / "other")
    shutil.copy(folder / "other" / WEIGHTS, folder / WEIGHTS)


TRIAL = tiny().to_dict()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "config.json: No such file or directory; need config.json and"),
        (without(CONFIG), "config.json: No such file"),
        (without(WEIGHTS), "model.safetensors: No such file"),
        (lambda folder: (folder / CONFIG).write_text("{"), "not of a grok model"),
        (saying(science_version=2), r"science version \('grok-dit-1', 2\); need \('grok-dit-1', "),
        (saying(format="mine"), "format and science version"),
        (saying(trial=TRIAL | {"width": -1}), "width = -1 is not allowed"),
        (saying(trial=TRIAL | {"color": 1}), "color = 1"),
        (saying(symbols=["A"]), "1 symbols of P = 7"),
        (saying(symbols=[]), "symbols.images is .*; need no such tensor"),
        (other_tensors, r"final.linear.bias is \(\(3,\), torch.float32\); need \(\(64,\), "),
        (of_another_trial, r"need \(\(.*and \d+ more\)"),
        (flipped, "checksum"),
        (written_by_others, "model.safetensors: damaged"),
    ],
)
def test_a_folder_that_holds_no_model_is_named(folder, spoil, said):
    spoil(folder)
    with pytest.raises(ModelError, match=said) as refusal:
        DiT.load(folder)
    assert str(refusal.value).startswith(str(folder))
    assert "\n" not in str(refusal.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="file: cannot write"):
        DiT(tiny()).save(tmp_path / "file")


# --- snapshots ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dump", [dump_snapshot, dump_state])
def test_a_snapshot_is_read_by_name(dump, tmp_path):
    member, dit = made()
    path = tmp_path / "snapshot.safetensors"
    path.write_bytes(dump(member))
    bank = banks_for(member.config)[bank_key(member.config)]
    for source in (path, str(path), path.read_bytes()):
        assert_same(DiT.from_snapshot(source, bank), dit)
    assert DiT.from_snapshot(path).symbols is None


def test_what_is_no_snapshot_is_named(tmp_path):
    data = dump_snapshot(made()[0])
    for bad, said in ((b"", "not a grok checkpoint"), (data[:-1], "damaged"),
                      (rewritten(data, science_version=2), "need .*, 3")):  # fmt: skip
        with pytest.raises(ModelError, match=f"snapshot: .*{said}"):
            DiT.from_snapshot(bad)
    with pytest.raises(ModelError, match="nowhere: No such file"):
        DiT.from_snapshot(tmp_path / "nowhere")
