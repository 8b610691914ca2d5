"""What is drawn in one step is read by the nearest class mean, whatever the analysis; what is drawn
in several by the decoder."""

import pytest

from grokmodel.analysis.ablations import ablations, blocked
from grokmodel.analysis.basins import basins
from grokmodel.analysis.heads import heads
from grokmodel.analysis.progress import progress
from tests.grokmodel.analysis.handmade import Blind, always, probe_of
from tests.grokmodel.tiny import synthetic_bank, tiny

SYMBOL = 2


READ = {
    "heads": lambda probe, d: heads(probe, d)[0][0].acc_strict,
    "progress": lambda probe, d: progress(probe, d, [0])[0].strict_acc,
    "ablations": lambda probe, d: max(row.train_acc for row in ablations(probe, d)[0]),
    "blocked": lambda probe, d: max(row.train_acc for row in blocked(probe, d)[0] if row.level),
    "basins": lambda probe, d: max(row.right_share for row in basins(probe, d)[0]),
}
BY_ITS_OWN_STEPS = ("blocked", "basins")
"""These draw in as many steps as the trial's evaluations."""


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("by", ["mean", "decoder"])
@pytest.mark.parametrize("steps", [1, 2])
def test_an_analysis_reads_one_step_by_the_nearest_mean(name, by, steps):
    config = tiny(N=2, sample_steps=steps, decoder_1step=by, train_fraction=0.5)
    mean = synthetic_bank(config.P, config.N, config.side).standardized[SYMBOL].mean(0)
    probe = probe_of(always(config, mean))
    share = READ[name](probe, dict.fromkeys(probe.banks, Blind()))
    in_one_step = steps == 1 or name not in BY_ITS_OWN_STEPS
    assert (share > 0) == (by == "mean" and in_one_step)
