"""What holds of every family: its config, its identity, its life from start to finished rows."""

import dataclasses

import pytest
import torch

from grokmodel import families
from grokmodel.configs import CONFIGS, FIELDS, config_class, config_from, config_of
from grokmodel.core import checksummed
from grokmodel.core.checkpoint import CheckpointError, dump_snapshot, dump_state
from grokmodel.core.fields import fields_of
from grokmodel.errors import ConfigError
from grokmodel.families import family_of
from tests.grokmodel.checkpoints import assert_identical, rewritten
from tests.grokmodel.parity.tiny import tiny as tiny_parity
from tests.grokmodel.rules.tiny import tiny as tiny_rules
from tests.grokmodel.tiny import CPU, inputs_for, tiny
from tests.grokmodel.tokens.tiny import tiny as tiny_tokens

TINY = {
    "image": tiny(),
    "tokens": tiny_tokens(),
    "parity": tiny_parity(),
    "rules": tiny_rules(),
}
every_family = pytest.mark.parametrize("config", TINY.values(), ids=TINY)


def inputs_of(config):
    return inputs_for(config) if config.family == "image" else None


def trained(config):
    members = [families.start(config)]
    for _ in families.train(members, inputs_of(config), CPU):
        pass
    return members


def test_there_is_a_tiny_trial_of_every_family():
    assert list(TINY) == list(CONFIGS)
    assert all(config.family == name for name, config in TINY.items())


@every_family
def test_a_config_comes_back_from_its_fields_and_from_a_row_with_the_columns_of_all(config):
    assert config_from(config.to_dict()) == config
    row = dict.fromkeys(FIELDS) | config.to_dict() | {"phase": "grokking"}
    assert config_of(row) == config
    # as pandas has it, where a column of whole numbers has nulls
    floats = {k: float(v) if type(v) is int else v for k, v in row.items()}
    assert config_of(floats).trial_id == config.trial_id


def test_the_family_is_part_of_the_identity_but_not_of_those_from_before_there_were_families():
    ids = {kind().trial_id for kind in CONFIGS.values()}
    assert len(ids) == len(CONFIGS)
    image = config_from({})
    assert image.family == "image"
    assert config_from({"family": "image"}).trial_id == image.trial_id


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"family": "sound"}, "family = 'sound' .* one of image, tokens, parity, rules"),
        ({"family": "tokens", "side": 16}, "side = 16 .* one of the fields"),
        ({"family": None}, "family = None"),
    ],
)
def test_what_no_family_has_is_refused_by_name(values, words):
    with pytest.raises(ConfigError, match=words):
        config_from(values)


def test_a_config_is_of_its_own_family_only():
    for name, kind in CONFIGS.items():
        assert config_class(name) is kind
        for other in CONFIGS.keys() - {name}:
            with pytest.raises(ConfigError, match="family"):
                kind(family=other)


def test_a_field_that_several_families_have_is_of_one_type():
    for kind in CONFIGS.values():
        for name, field in fields_of(kind).items():
            assert field.type is FIELDS[name].type, name


@every_family
def test_a_finished_trial_has_a_row_that_says_what_it_is(config):
    (member,) = trained(config)
    family = family_of(config)
    assert member.finished
    assert family.examples(member) >= 1
    (done,) = family.finish([member], inputs_of(config), CPU)
    assert done.trial == done.trial | config.to_dict() | {"trial_id": config.trial_id}
    assert [row["step"] for row in done.curve] == [e.step for e in member.curve]
    assert done.trial["steps_run"] == member.step > 0
    assert done.trial["train_acc_final"] == pytest.approx(member.curve[-1].train_acc, abs=0.5)
    assert done.trial["n_train"] > 0
    assert bool(done.samples) == (config.family == "image")


@every_family
def test_a_checkpoint_knows_of_which_family_it_is(config):
    (member,) = trained(config)
    assert_identical(families.resumed(config, dump_state(member), "here"), member)
    back = families.load_snapshot(dump_snapshot(member))
    assert back.config == config
    assert torch.equal(back.state.average, member.state.average)


@every_family
def test_parameters_have_names_and_lie_one_after_another(config):
    member = families.start(config)
    layout = member.layout(config)
    views = layout.views(member.state.weights)
    assert sum(v.numel() for v in views.values()) == layout.n
    assert any(name.endswith(".w") for name in views)


def test_a_checkpoint_of_a_family_that_is_not_ours_is_refused_by_name():
    data = dump_snapshot(families.start(tiny()))
    config = checksummed.header(data)["config"]
    for odd in ("sound", "core", "..errors", 7):
        with pytest.raises(CheckpointError, match=r"there: of family .*; need one of image, "):
            families.load_snapshot(rewritten(data, config=config | {"family": odd}), "there")


@every_family
def test_trials_that_differ_in_the_seed_train_as_one_and_in_a_size_do_not(config):
    assert dataclasses.replace(config, seed=7).shape == config.shape
    size = "hidden" if config.family == "parity" else "width"
    larger = dataclasses.replace(config, **{size: 2 * getattr(config, size)})
    assert larger.shape != config.shape
    assert larger.cost > config.cost
    assert larger.activations > config.activations
