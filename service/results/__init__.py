"""What a sweep came to, for notebooks and scripts: its tables, and its trials as models.

    sweep = open_sweep("runs", "demo")
    sweep.trials                                # one row per trial
    trial = sweep.best("grokking")              # or sweep.trial("f349")
    images = trial.sample(a=3, b=5, n=16)       # (16, side, side) in [0, 1]
    trial.plot.spectra()                        # a matplotlib figure; so is sweep.plot.heads()

Uses: report, data, tables, store, settings, grokmodel. Used by: cli, notebooks.
"""

from service.results.errors import ResultError
from service.results.sweep import Sweep, find_trial, open_sweep
from service.results.trial import Trial

__all__ = ["ResultError", "Sweep", "Trial", "find_trial", "open_sweep"]
