"""The mirror's share is what counting gives."""

import numpy as np
import pandas as pd
import pytest

from grokmodel.data.pairs import split_pairs
from grokmodel.image.config import TrialConfig
from service.reproduction import mirror
from service.reproduction.document import document
from tests.service.reproduction.tables import FAILED, MIRROR_ONLY, curve, evidence, flat, trial


@pytest.mark.parametrize("P", [5, 23])
def test_the_mirrored_share_is_what_counting_gives(P):
    config = TrialConfig(P=P, train_fraction=0.9, seed=3)
    split = split_pairs(config)
    train = set(map(tuple, split.train.tolist()))
    counted = np.mean([(b, a) in train for a, b in split.val.tolist()])
    assert mirror.ceiling(P, splits=4).shares[3] == pytest.approx(counted)


def test_its_mean_over_all_splits_is_exact():
    found = mirror.ceiling(11, splits=3000)
    error = found.shares.std() / np.sqrt(len(found.shares))
    assert abs(found.shares.mean() - found.expected) < 4 * error
    n = round(0.9 * 121)
    off_diagonal = 110 / 121 * n / 120
    assert found.expected == pytest.approx(off_diagonal)


def test_the_leak_is_read_off_the_curves():
    rows = pd.DataFrame([trial(0), trial(1, **MIRROR_ONLY), trial(2, split="unordered")])
    values = ((0.1, 0.0), (0.9, 0.0), (0.96, 0.2), (1.0, 1.0))
    curves = [row for i in range(3) for row in curve(i, *values)]
    found = mirror.leak(rows, pd.DataFrame(curves))
    assert (found.trials, found.evaluations) == (2, 8)
    assert (found.shown, found.shown_trials, found.val_only) == (4, 2, 1)
    assert found.longest.tolist() == [250.0, 250.0]
    assert found.lag.tolist() == [500.0]
    assert found.before.tolist() == [0.96, 0.96]
    share = 41 / 53
    assert found.above.iloc[1] == pytest.approx(0.96 - share - (1 - share) / 23)


def test_a_dip_after_the_strict_pairs_were_known_is_not_before_it():
    rows = pd.DataFrame([trial(0)])
    curves = pd.DataFrame(curve(0, (0.1, 0.0), (0.7, 0.5), (0.9, 0.8), (0.97, 0.4), (1.0, 1.0)))
    assert mirror.leak(rows, curves).before.tolist() == [0.7]


def test_settings_are_measured_apart_and_the_papers_first():
    high, low = ((0.9, 0.2), (1.0, 1.0)), ((0.05, 0.0), (0.05, 0.0))
    n1 = {"trials": [trial(0)], "curves": curve(0, *high)}
    failed = {"trials": [trial(1, N=256, sample_steps=1, train_fraction=0.8, **FAILED)]}
    failed |= {"curves": curve(1, *low)}
    glyphs = {"trials": [trial(2, data="glyphs")], "curves": curve(2, *high)}
    found = evidence({"n1": n1, "variants": failed, "kuzushiji": glyphs}, stand_ins=("kuzushiji",))
    text = document(found, {})
    assert "**Measured** in 1 trial with one image per symbol of EMNIST" in text
    assert "had come to 0.90 before more than half" in text
    assert "| emnist | 1 | baseline | 1 | 0.9 | 10 | 1 | 1 of 1 | 0.90 | 1 of 2 | 0 |" in text
    assert "| emnist | 256 | baseline | 1 | 0.8 | 1 | 1 | 0 of 1 | 0.05 | 0 of 2 | 0 |" in text
    assert "| glyphs | 1 | baseline | 1 | 0.9 | 10 | 1 | 1 of 1 | 0.90 | 1 of 2 | 0 |" in text


def test_trials_without_a_curve_show_no_leak():
    text = document(evidence({"n1": {"trials": [trial(0)]}}), {})
    assert "that have strict pairs, 0 evaluations:" in text
    assert "| emnist | 1 | baseline | 1 | 0.9 | 10 | 1 | 1 of 1 | - | 0 of 0 | 0 |" in text


@pytest.mark.parametrize(
    ("fields", "cells"),
    [
        ({}, "1.00 | 1.00 |"),
        ({"seed": 5}, "1.00 | 1.00 |"),
        ({"steps": 3000}, "not at this scale | - |"),
        ({"train_fraction": 0.8}, "not at this scale | - |"),
        ({"ffn": 64}, "not at this scale | - |"),
    ],
)
def test_the_control_stands_beside_trials_that_differ_in_split_and_seed_alone(fields, cells):
    control = {"trials": [trial(1, split="unordered")]}
    found = evidence({"n1": flat([trial(0, **fields)]), "unordered": control})
    text = document(found, {})
    assert f"| 23 | 1 | 1.00 | 1 of 1 | 1 | {cells}" in text
