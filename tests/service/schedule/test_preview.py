"""What is said before anything starts."""

import dataclasses

from grokmodel.data.pairs import split_pairs
from service.schedule.preview import FEW_STRICT, check_data
from tests.service.tiny import tiny_config

SEEDS = range(40)


def few(**changes):
    """Seven symbols, of whose 49 pairs five are held out: some seeds give no strict pair."""
    return [tiny_config(P=7, train_fraction=0.9, seed=seed, **changes) for seed in SEEDS]


def test_trials_without_a_strict_pair_are_named(settings):
    configs = few()
    untold = [c for c in configs if not split_pairs(c).strict.any()]
    assert 0 < len(untold) < len(configs)
    warning = check_data(configs, settings)[1]
    assert f"{len(untold)} of {len(configs)} trials" in warning
    assert f"P = 7, train_fraction = 0.9, seed = {untold[0].seed};" in warning
    told = check_data([c for c in configs if c not in untold], settings)[1]
    assert "fewer than 10 strict pairs" in told
    assert "no strict pair" not in told
    assert "no strict pair" not in check_data(few(split="unordered"), settings)[1]


def test_few_strict_pairs_and_few_evaluations_are_told(settings):
    enough = tiny_config(P=23, train_fraction=0.8, steps=60, eval_every=20)
    few = [dataclasses.replace(enough, train_fraction=0.9, seed=seed) for seed in range(9)]
    assert all(0 < c.strict_evaluated() < FEW_STRICT for c in few)
    assert check_data([enough], settings)[1] == ""
    warning = check_data([enough, *few], settings)[1]
    assert warning.startswith("warning: 9 of 10 trials evaluate fewer than 10 strict pairs (P = 23")
    brief = dataclasses.replace(enough, eval_every=30)
    warning = check_data([enough, brief], settings)[1]
    assert warning.startswith("warning: 1 of 2 trials have fewer than 3 evaluations (P = 23")


def test_pairs_that_are_not_evaluated_do_not_count(settings):
    (config,) = [c for c in few() if not split_pairs(c).strict[:1].any()][:1]
    assert "1 of 1 trials" in check_data([dataclasses.replace(config, eval_pairs=1)], settings)[1]


def test_a_split_is_named_once_whatever_else_varies(settings):
    configs = [tiny_config(P=7, train_fraction=0.8, lr=lr) for lr in (1e-3, 2e-3, 3e-3, 4e-3)]
    warning = check_data(configs, settings)[1]
    assert "4 of 4 trials" in warning
    assert "(P = 7, train_fraction = 0.8, seed = 0)" in warning
