"""Plan files of tiny trials, and what their runs leave."""

import torch

from grokmodel.core.checkpoint import load_snapshot
from grokmodel.image.decoder import CnnDecoder, MeanDecoder
from grokmodel.image.family import ImageInputs
from grokmodel.image.pack import Member
from grokmodel.run import results
from grokmodel.run.__main__ import main
from grokmodel.run.plan import write_plan
from tests.grokmodel.tiny import banks_for, curve_array, tiny

CONFIGS = [tiny(seed=0), tiny(seed=1, steps=40), tiny(seed=2), tiny(N=2, width=32, steps=10)]
"""Trials of two shapes."""


def plan_of(path, *configs, sweep="far"):
    """The plan file of trials on synthetic images, read by a CNN that knows nothing."""
    torch.manual_seed(0)
    banks = banks_for(*configs)
    decoders = {
        key: MeanDecoder(bank) if key[2] == 1 else CnnDecoder(key[1], key[3]).eval()
        for key, bank in banks.items()
    }
    write_plan(path, sweep, configs, ImageInputs(banks, decoders), "abcdef0")
    return path


def run(plan, out, *flags):
    """The exit code of a run in this process."""
    return main([str(plan), "--out", str(out), "--device", "cpu", *map(str, flags)])


def names(out):
    return sorted(path.name for path in out.iterdir())


def left(out):
    """What is in the results of a run, by trial: all but seconds, and what is a function of it."""
    found = {}
    for path in results.files_in(out):
        of = results.read_results(path)
        for trial_id, trial in of.trials.items():
            weights = {}
            for name in of.snapshots(trial_id):
                member = load_snapshot(Member, of.snapshot(name)[1])
                weights[name] = (member.state.average.numpy().tobytes(), curve_array(member.curve))
            row = {name: value for name, value in trial.row.items() if name != "wall_s"}
            found[trial_id] = (row, trial.curve, trial.samples, repr(sorted(weights.items())))
    return found
