"""A sweep opened again is what was trained: rows, models, samples; what is not there is named."""

import copy
import dataclasses
import shlex
import shutil

import pandas as pd
import pytest
import torch

from grokmodel.core import noise
from grokmodel.core.checkpoint import load_snapshot
from grokmodel.data.pairs import split_pairs
from grokmodel.errors import ConfigError
from grokmodel.image.evaluate import sample_images
from grokmodel.image.model import unpatchify
from grokmodel.image.pack import Member, Pack, bank_key
from service.results import ResultError, find_trial, open_sweep
from service.settings import Settings, SettingsError
from service.store import keys
from service.store.manifest import write_manifest
from service.store.store import Store, StoreError
from service.tables.names import changed_fields
from service.tables.reading import read_rows, read_table
from service.tables.selection import NoTrialError
from service.tables.writing import write_rows
from sweeps import grok_phase
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def sweep(trained_store):
    return open_sweep(trained_store.url, "tiny")


@pytest.fixture(scope="session")
def trial(sweep):
    return sweep.trial(tiny_config(seed=2, weight_decay=3).trial_id)


def made_up(store, *rows):
    """A sweep of rows without models."""
    configs = [tiny_config(seed=i) for i in range(len(rows))]
    write_manifest(store, "mine", configs, "1")
    write_rows(store, "trials", "mine", [finished_row(c) | r for c, r in zip(configs, rows)])
    return open_sweep(store.url, "mine"), [c.trial_id for c in configs]


# --- tables ---------------------------------------------------------------------------------------


def test_tables_are_those_of_the_store(sweep, trained_store):
    trials = read_table(trained_store, "trials", "tiny")
    pd.testing.assert_frame_equal(sweep.trials.drop(columns="lag"), trials)
    pd.testing.assert_frame_equal(
        sweep.table("curves"), read_table(trained_store, "curves", "tiny")
    )
    assert sweep.table("spectra").empty
    assert "3 trials" in repr(sweep)


def test_the_lag_is_from_training_pairs_to_strict_pairs(store):
    sweep, _ = made_up(
        store,
        {"train_step": 10, "val_step_strict": 35},
        {"train_step": 10, "val_step_strict": None},
        {"train_step": None, "val_step_strict": 20},
        {"train_step": 10, "val_step_strict": 20, "val_acc_strict": None},
    )
    by_seed = sweep.trials.set_index("seed")["lag"]
    assert by_seed[0] == 25
    assert by_seed[[1, 2, 3]].isna().all()


def test_the_best_of_a_phase_knows_most_strict_pairs_then_learned_them_first(store):
    grokking = {"phase": "grokking", "val_acc_strict_final": 0.9}
    sweep, ids = made_up(
        store,
        grokking | {"val_step_strict": 30},
        grokking | {"val_step_strict": 20},
        grokking | {"val_step_strict": 10, "val_acc_strict_final": 0.8},
        grokking | {"val_acc_strict_final": None},
        {"phase": "memorization", "val_acc_strict_final": 1.0},
    )
    assert sweep.best("grokking").id == ids[1]
    assert sweep.best("memorization").id == ids[4]


# --- models ---------------------------------------------------------------------------------------


def test_a_trial_has_its_snapshots_and_each_is_a_model(trial, trained_store):
    assert trial.steps == [0, 10, 20, 30, 40]
    for step, run in keys.snapshots(trained_store, trial.id):
        data = trained_store.get(keys.snapshot_key(trial.id, step, run))
        member, model = load_snapshot(Member, data), trial.model(step)
        assert (model.config, model.step) == (trial.config, step)
        # the first matrix of the flat row is that of the embedding
        embed = model.embed.weight.detach().T.flatten()
        assert torch.equal(embed, member.state.average[0][: embed.numel()])
    assert trial.model().step == 40


def test_snapshots_of_another_run_are_not_its_own(trial, tmp_path):
    place = shutil.copytree(trial.store.url, tmp_path / "copy")
    old, new = (keys.snapshot_key(trial.id, s, r) for s, r in ((10, trial._runs[10]), (10, "f0")))
    (place / old).rename(place / new)
    assert open_sweep(str(place), "tiny").trial(trial.id).steps == [0, 20, 30, 40]


def test_accuracies_by_samples_of_models_are_those_of_the_row(trial):
    """What the evaluation drew with its own noise, a model draws from the same noise."""
    pairs = split_pairs(trial.config).train
    (member,) = [trial._member(None)]
    pack = Pack([member], {bank_key(trial.config): trial.bank}, CPU)
    steps, count = trial.config.final_sample_steps, len(pairs)
    expected = sample_images(pack, torch.from_numpy(pairs)[None], noise.EVAL_TRAIN, steps)[0]
    eps = noise.normal(pack.seed_M, noise.EVAL_TRAIN, member.state.step, count, 64)[0]
    start = unpatchify(eps.unflatten(-1, (1, 64)), 8)
    model = trial.model()
    images = model.symbols.standardized(model.symbols.images[:, 0])
    found = model.sample(images[pairs[:, 0]], images[pairs[:, 1]], steps, noise=start)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    right = trial.decode(model.pixels(found)).numpy() == pairs.sum(1) % trial.config.P
    assert right.mean() == pytest.approx(trial.row["train_acc_final"], abs=1.5 / count)


def test_samples_are_pictures_that_a_seed_gives_again(trial):
    images = trial.sample(a=3, b=5, n=4, steps=2)
    assert images.shape == (4, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    assert torch.equal(images, trial.sample(3, 5, 4, 2))
    assert not torch.equal(images, trial.sample(3, 5, 4, 2, seed=1))
    assert not torch.equal(images, trial.sample(3, 5, 4, 2, step=0))


def test_images_of_symbols_are_read_as_these(trial):
    images = torch.from_numpy(trial.bank.images[:, 0])
    assert trial.decode(images).tolist() == list(range(7))


def test_importance_is_transferred_between_trials_of_one_task_only(trial):
    other = copy.copy(trial)
    other.config = dataclasses.replace(trial.config, P=11)
    with pytest.raises(ResultError, match="has P = 11; need 7, as trial"):
        trial.transfer_to(other)


# --- having it again ------------------------------------------------------------------------------

CONFIGS = [
    tiny_config(),
    tiny_config(N=4, decoder_1step="decoder", seed=3, t_distribution="logit-normal", t_mean=-1.5),
    tiny_config(N=4, qk_norm=True, sandwich_skip=False, variant="sandwich", sandwich_ffn=24),
    tiny_config(patch=4, position="rotary", data="emnist", lr=1e-5),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_command_of_a_trial_trains_just_this_trial(config, store, settings):
    write_manifest(store, "mine", [config], "1")
    write_rows(store, "trials", "mine", [finished_row(config)])
    trial = find_trial(settings, config.trial_id)
    assert trial.config == config
    words = shlex.split(trial.command)
    assert words[:2] == ["python", "sweeps/grok_phase.py"]
    args = grok_phase.build_parser().parse_args(words[2:])
    assert (args.name, args.store) == ("mine", "again")
    assert args.data_root == (settings.data_root if config.data == "emnist" else None)
    assert grok_phase.preset_configs(None, grok_phase.overrides(args)) == [config]


def test_fields_that_others_imply_are_left_out():
    fields = changed_fields(tiny_config(N=1, patch=8))
    assert not {"patch", "decoder_1step", "position", "N"} & fields.keys()


# --- what is not there ----------------------------------------------------------------------------


def test_a_trial_is_found_in_whatever_sweep(trained_store, trial):
    settings = Settings(trained_store.url, "", "")
    assert find_trial(settings, trial.id[:10]).sweep == "tiny"
    assert find_trial(settings, trial.id, "tiny").id == trial.id


def test_a_trial_of_two_sweeps_is_one(trained_store, trial, tmp_path):
    place = shutil.copytree(trained_store.url, tmp_path / "copy")
    settings = Settings(str(place), "", "")
    write_rows(Store(settings), "trials", "another", read_rows(trained_store, "trials", [trial.id]))
    found = find_trial(settings, trial.id)
    assert (found.sweep, found.model().step) == ("another", 40)


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda s, t: open_sweep(s.store.url, "yours"), StoreError, "no sweep 'yours'.*tiny"),
        (lambda s, t: open_sweep("/not/there", "tiny"), StoreError, "/not/there: there is no such"),
        (lambda s, t: open_sweep("ftp://x", "tiny"), SettingsError, "need a folder or s3://"),
        (lambda s, t: s.table("colors"), ConfigError, "table = 'colors'.*trials, curves"),
        (lambda s, t: s.trial("x"), NoTrialError, "no finished trial 'x' in sweep 'tiny'; it"),
        (
            lambda s, t: s.trial(""),
            NoTrialError,
            "'' matches 3 trials in sweep 'tiny', ",
        ),
        (lambda s, t: s.best("joy"), ConfigError, "phase = 'joy'.*one of confusion, memorization"),
        (lambda s, t: s.best("diverged"), ResultError, "has no trial in phase diverged: 3 trials"),
        (lambda s, t: t.model(15), ConfigError, "step = 15.*snapshot of trial .*: 0, 10, 20, 30"),
        (lambda s, t: t.sample(7, 0), ConfigError, "a = 7 .* from 0 to 6: the trial has P = 7"),
        (lambda s, t: t.sample(0, -1), ConfigError, "b = -1 "),
        (lambda s, t: t.sample(0.5, 1), ConfigError, "a = 0.5 "),
        (lambda s, t: t.sample(0, 1, n=0), ConfigError, "n = 0 .* 1 or more"),
        (lambda s, t: t.sample(0, 1, steps=0), ConfigError, "steps = 0"),
        (lambda s, t: t.table("nope"), ConfigError, "table = 'nope' .* one of trials"),
        (lambda s, t: t.sample(1, 2, n=2.5), ConfigError, "n = 2.5 .* whole number"),
        (lambda s, t: t.sample(1, 2, steps="x"), ConfigError, "steps = 'x' .* whole number"),
        (lambda s, t: t.decode(torch.full((2, 8, 8), 5.0)), ResultError, r"from 5 to 5; need \[0"),
        (lambda s, t: t.decode(torch.full((2, 8, 8), torch.nan)), ResultError, r"need \[0, 1\]"),
        (lambda s, t: t.decode(torch.zeros(2, 9, 9)), ResultError, r"\(2, 9, 9\); need \(n, 8, 8"),
    ],
)
def test_what_is_not_there_is_one_line_that_says_what_is(sweep, trial, ask, error, said):
    with pytest.raises(error, match=said) as refusal:
        ask(sweep, trial)
    assert "\n" not in str(refusal.value)


def test_a_trial_whose_models_are_elsewhere_says_how_to_train_it(store):
    sweep, ids = made_up(store, {})
    for ask in (sweep.trial(ids[0]).model, lambda: sweep.trial(ids[0]).steps):
        with pytest.raises(ResultError, match="rows only; to train it: python sweeps/grok_phase"):
            ask()


def test_a_damaged_snapshot_is_named(trial, tmp_path):
    place = shutil.copytree(trial.store.url, tmp_path / "copy")
    (place / keys.snapshot_key(trial.id, 10, trial._runs[10])).write_bytes(b"x")
    with pytest.raises(ResultError, match=f"trial {trial.id}: .*step=10.*not a grok checkpoint"):
        open_sweep(str(place), "tiny").trial(trial.id).model(10)
