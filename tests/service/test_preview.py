"""What is said before anything starts."""

import dataclasses

from grokmodel.task import split_pairs
from service.preview import check_data
from tests.service.tiny import tiny_config

SEEDS = range(40)


def few(**changes):
    """Seven symbols, of whose 49 pairs five are held out: some seeds give no strict pair."""
    return [tiny_config(P=7, train_fraction=0.9, seed=seed, **changes) for seed in SEEDS]


def test_trials_without_a_strict_pair_are_named(settings):
    configs = few()
    untold = [c for c in configs if not split_pairs(c).strict.any()]
    assert 0 < len(untold) < len(configs)
    warning = check_data(configs, settings)
    assert f"{len(untold)} of {len(configs)} trials" in warning
    assert f"P = 7, train_fraction = 0.9, seed = {untold[0].seed};" in warning
    assert check_data([c for c in configs if c not in untold], settings) == ""
    assert check_data(few(split="unordered"), settings) == ""


def test_pairs_that_are_not_evaluated_do_not_count(settings):
    (config,) = [c for c in few() if not split_pairs(c).strict[:1].any()][:1]
    assert "1 of 1 trials" in check_data([dataclasses.replace(config, eval_pairs=1)], settings)
