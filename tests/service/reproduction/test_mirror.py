"""The mirror's share is what counting gives."""

import numpy as np
import pandas as pd
import pytest

from grokmodel.config import TrialConfig
from grokmodel.task import split_pairs
from service.reproduction import mirror
from tests.service.reproduction.tables import MIRROR_ONLY, trial


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
    values = [(0, 0.1, 0.0), (250, 0.9, 0.0), (500, 0.96, 0.2), (750, 1.0, 1.0)]
    curves = pd.DataFrame(
        [{"trial_id": f"t{i}", "step": s, "val_acc": v, "val_acc_strict": strict}
         for i in range(3) for s, v, strict in values]
    )  # fmt: skip
    found = mirror.leak(rows, curves)
    assert (found.trials, found.evaluations) == (2, 8)
    assert (found.shown, found.shown_trials, found.val_only) == (4, 2, 1)
    assert found.longest.tolist() == [250.0, 250.0]
    assert found.lag.tolist() == [500.0]
    assert found.before.tolist() == [0.96, 0.96]
    share = 41 / 53
    assert found.above.iloc[1] == pytest.approx(0.96 - share - (1 - share) / 23)
