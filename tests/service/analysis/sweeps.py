"""Sweeps of tiny trials that are really trained, and analyzed in this process."""

from service.analysis.pending import Wish, batches
from service.analysis.tasks import Job, analysis_task, to_do
from service.store import keys
from service.store.store import Store
from service.tracking import outbox
from service.worker.pack_run import PackJob
from tests.service.packs import run_pack
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=0), tiny_config(seed=1, weight_decay=3)]
FAST = Wish(names=("heads", "basins"))
"""One analysis of the last checkpoint, one over training, and no figure to draw."""


class Sweep:
    """A sweep of which MLflow has all that training left."""

    def __init__(self, settings, name="sweep", configs=CONFIGS):
        self.settings, self.name = settings, name
        self.ids = [c.trial_id for c in configs]
        run_pack(PackJob(name, settings, tuple(configs), cpus=1.0))
        assert outbox.publish(settings, name, print)

    def analyze(self, wish=FAST):
        """Do what the sweep lacks; returns the reports."""
        job = Job(self.name, self.settings, wish)
        return [analysis_task(job, batch) for batch in batches(to_do(job).todo, size=8)]

    def snapshot(self, trial_id, step):
        """Key of the one snapshot of a trial at a step."""
        found = keys.snapshots(Store(self.settings), trial_id)
        (run,) = [run for at, run in found if at == step]
        return keys.snapshot_key(trial_id, step, run)
