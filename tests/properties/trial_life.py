"""The whole life of a trial in one process: trained, recorded, analyzed, drawn."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

from grokmodel.catalog.analyses import ANALYSES
from grokmodel.catalog.runs import Context
from grokmodel.data.load import load_bank
from grokmodel.data.pairs import split_pairs
from grokmodel.families import train
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.family import ImageInputs
from grokmodel.image.pack import bank_key
from service.analysis.pending import Wish
from service.analysis.tasks import Job, Worker
from service.report import figures, sweep_figures, trial_figures
from service.schedule.drawing import draw_sweep
from service.settings import Settings
from service.store.store import Store
from service.tables.reading import read_table
from service.worker.pack_run import restore
from service.worker.recorder import Recorder
from service.worker.writer import Writer
from tests.grokmodel.tiny import CPU, synthetic_bank

SWEEP = "life"


class Life:
    """One trial in a store of its own; its parts in the order in which a sweep does them."""

    def __init__(self, config, folder):
        split_pairs(config)  # what `check_data` asks before a sweep starts
        self.config = config
        self.store = Store(Settings(str(folder / "store"), "", "", None))
        key, bank = bank_key(config), self._bank(folder)
        self.inputs = ImageInputs({key: bank}, {key: MeanDecoder(bank)})

    def _bank(self, folder):
        c = self.config
        if c.N == 1:  # what a user would get; to draw more takes long
            return load_bank(c.data, c.P, c.N, c.side, root=folder)
        return synthetic_bank(c.P, c.N, c.side)

    def train(self):
        """Until it has finished; half-way it is put down and taken up again."""
        member = restore(self.store, self.config)
        with Writer() as writer:
            places = (self.store, SWEEP, writer, self.inputs, CPU)
            recorder = Recorder(*places, checkpoint_s=0.0)
            recorder.begin([member])
            for round_ in train([member], self.inputs, CPU):
                recorder.record(round_)
                if not member.finished:
                    recorder.saving.result()
                    assert restore(self.store, self.config).step == member.step
        self.trial_row = read_table(self.store, "trials", SWEEP).to_dict("records")[0]
        self.curve = read_table(self.store, "curves", SWEEP)
        return self.trial_row

    def analyze(self):
        """Rows of the analyses. Weights may be so large that activations are infinite, which an
        analysis has to say; whatever else goes wrong in one is raised."""
        settings = Settings(self.store.url, "", "", None)
        worker = Worker(Job(SWEEP, settings, Wish()), self.store)
        context = Context(self.inputs, CPU)
        for analysis in (a for a in ANALYSES if "image" in a.families):
            members = worker.checkpoints(self.trial_row, analysis.over_training)
            try:
                found = analysis.run(members, context)
            except ValueError as error:
                if "not finite" not in str(error):
                    raise
                continue
            worker.write(analysis, [(self.trial_row, members)], members, found, 0.1)

    def draw(self):
        """All figures of the trial and of the sweep, and the report."""
        row = self.trial_row
        drawn = trial_figures.draw(self.store, SWEEP, row, trial_figures.TRIAL_FIGURES)
        drawn |= sweep_figures.draw(self.store, SWEEP)
        for figure in drawn.values():
            figures.render(figure, "png")
        return list(drawn), draw_sweep(self.store, SWEEP, Settings(self.store.url, "", "", None))


@contextmanager
def lives(config):
    """The life of a trial, in a folder that is gone afterward."""
    with tempfile.TemporaryDirectory() as folder:
        yield Life(config, Path(folder))
