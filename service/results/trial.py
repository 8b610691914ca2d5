"""A finished trial of a sweep: its row, its model at every snapshot, what it draws and what reads
that."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from grokmodel.configs import config_of
from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from service.results.errors import NoSnapshotError, ResultError
from service.results.plots import TrialPlots
from service.settings import Settings
from service.store.keys import snapshot_key
from service.store.store import Store
from service.tables.names import train_command
from service.tables.reading import read_table
from service.tables.schema import TABLES

if TYPE_CHECKING:  # torch: only when a model is asked for
    from numpy.typing import ArrayLike
    from torch import Tensor

    from grokmodel.core.member import Member
    from grokmodel.data.bank import SymbolBank
    from grokmodel.image.dit import DiT
    from grokmodel.image.pack import Member as ImageMember
    from grokmodel.probing.probe import Probe

Row = Mapping[str, Any]

SAMPLES, STEPS = 16, 50
"""Samples of a pair, and Euler steps that draw them, unless told otherwise."""
TASK = ("op", "data", "images_hash", "P", "N", "side", "patch")
"""Fields that say what a model is shown and what it has to draw."""


class Trial:
    """One finished trial.

    Args:
        row: of table `trials`, with `lag`.
    """

    def __init__(self, row: Row, store: Store, settings: Settings) -> None:
        self.row, self.store, self.settings = row, store, settings
        self.id, self.sweep = str(row["trial_id"]), str(row["sweep"])
        self.phase, self.config = str(row["phase"]), config_of(row)
        self.plot = TrialPlots(store, self.sweep, row)
        self._models: dict[int, DiT] = {}

    def __repr__(self) -> str:
        return f"Trial({self.id} of {self.sweep}, {self.phase})"

    def table(self, name: str) -> pd.DataFrame:
        """This trial's rows of a table, such as `curves` or `spectra`.

        Raises:
            ConfigError: there is no such table.
        """
        return read_table(self.store, checked_table(name), self.sweep, [self.id])

    # --- its models ------------------------------------------------------------------------------

    @property
    def steps(self) -> list[int]:
        """Steps of which there is a snapshot, in order; the last is the trial's result."""
        return list(self._runs)

    @property
    def images(self) -> TrialConfig:
        """Its config, if it is a trial that draws images.

        Raises:
            ResultError: it is of another family.
        """
        if not isinstance(self.config, TrialConfig):
            family = self.config.family
            raise ResultError(f"trial {self.id} is of family {family}; need one that draws images")
        return self.config

    def model(self, step: int | None = None) -> DiT:
        """The trial's model, a `torch.nn.Module`; another object each time, to be changed at will.

        Args:
            step: that of a snapshot, one of `steps`; by default the last.

        Raises:
            ConfigError: there is no snapshot of this step.
            ResultError: no snapshot is there, or it is damaged; or it is no trial of images.
            DataError: the images that it was trained on are not there.
        """
        from grokmodel.image.dit import DiT

        return DiT.from_member(self._image_member(step), self.bank)

    def probe(self, step: int | None = None) -> Probe:
        """The same as a `Probe` over all pairs: what `grokmodel.analysis` and
        `grokmodel.probing` take."""
        import torch

        from grokmodel.image.pack import bank_key
        from grokmodel.probing.probe import Probe

        banks = {bank_key(self.images): self.bank}
        return Probe([self._image_member(step)], banks, torch.device("cpu"))

    def _image_member(self, step: int | None) -> ImageMember:
        from grokmodel.image.pack import Member

        member = self._member(step)
        if not isinstance(member, Member):
            family = self.config.family
            raise ResultError(f"trial {self.id} is of family {family}; need one that draws images")
        return member

    def transfer_to(self, other: Trial) -> pd.DataFrame:
        """Does what matters in this trial's model say what matters in another's, of another width
        perhaps? A row for heads and one for neurons: see `grokmodel.probing.transfer`.

        Raises:
            ResultError: the other's task is not the same; also see `model`.
        """
        from grokmodel.probing.transfer import transfer

        for field in TASK:
            mine, theirs = (getattr(trial.images, field) for trial in (self, other))
            if mine != theirs:
                words = f"{field} = {theirs!r}; need {mine!r}, as trial {self.id} has"
                raise ResultError(f"trial {other.id} has {words}")
        return pd.DataFrame([vars(row) for row in transfer(self.probe(), other.probe())])

    @cached_property
    def bank(self) -> SymbolBank:
        """The images of the trial's symbols.

        Raises:
            DataError: a data file is missing or damaged, or holds other images than the trial had.
        """
        from grokmodel.image.pack import bank_key
        from service.data.banks import bank_of

        return bank_of(bank_key(self.images), self.settings.data_root)

    # --- what it draws ---------------------------------------------------------------------------

    def sample(
        self,
        a: int,
        b: int,
        n: int = SAMPLES,
        steps: int = STEPS,
        step: int | None = None,
        seed: int = 0,
    ) -> Tensor:
        """Images of the result that the model draws, (n, side, side) in [0, 1].

        Args:
            a, b: numbers of the operands, from 0 to P - 1. With several images per symbol each
                sample has its own, at random.
            steps: Euler steps.
            step: of a snapshot; by default the last.
            seed: of the noise that samples start from: the same gives the same images.

        Raises:
            ConfigError: an operand that is none, no sample, no step, or no such snapshot.
            ResultError, DataError: see `model`.
        """
        import torch

        P = self.images.P
        for name, value in (("a", a), ("b", b)):
            if value not in range(P):
                raise ConfigError(name, value, f"from 0 to {P - 1}: the trial has P = {P}")
        for name, value in (("n", n), ("steps", steps), ("seed", seed)):
            if not isinstance(value, int):
                raise ConfigError(name, value, "a whole number")
        last = self._last.step if step is None else step
        if last not in self._models:
            self._models[last] = self.model(last)
        model, generator = self._models[last], torch.Generator().manual_seed(seed)
        return model.pixels(model.sample(int(a), int(b), steps, n=n, generator=generator))

    def decode(self, images: ArrayLike, steps: int = STEPS) -> Tensor:
        """Classes (n,) of images (n, side, side) in [0, 1], as the evaluations of the trial read
        them.

        Args:
            steps: Euler steps that drew the images: of one step they may be read otherwise, see
                the config's `decoder_1step`.

        Raises:
            ResultError: images of another shape, or with values that are not in [0, 1].
            DecoderError: no decoder of the trial's images is good enough.
        """
        import torch

        from grokmodel.image.evaluate import reader
        from grokmodel.image.pack import bank_key
        from service.data.decoders import get_decoder  # Ray: only when it is needed

        side = self.images.side
        images = torch.as_tensor(images, dtype=torch.float32)
        if images.ndim != 3 or tuple(images.shape[1:]) != (side, side):
            shape = tuple(images.shape)
            raise ResultError(f"images of shape {shape}; need (n, {side}, {side})")
        if not ((images >= 0) & (images <= 1)).all():
            low, high = float(images.min()), float(images.max())
            raise ResultError(f"images with values from {low:g} to {high:g}; need [0, 1]")
        key = bank_key(self.images)
        decoders = {key: get_decoder(self.store, key, self.bank)}
        return reader(self.images, decoders, {key: self.bank}, steps).classify(images)

    # --- how to have it again --------------------------------------------------------------------

    @property
    def command(self) -> str:
        """The command that trains it again, in a store of its own: in this one it is done."""
        return train_command(self.config, self.sweep, self.settings.data_root)

    # --- snapshots -------------------------------------------------------------------------------

    @cached_property
    def _last(self) -> Member[Any]:
        return self._load(int(self.row["steps_run"]), str(self.row["run_id"]))

    @cached_property
    def _runs(self) -> dict[int, str]:
        """Step of every snapshot -> its run."""
        from service.data import snapshots

        return dict(snapshots.of_run(self.store, self._last))

    def _member(self, step: int | None) -> Member[Any]:
        last = self._last
        if step is None or step == last.step:
            return last
        if step not in self._runs:
            known = ", ".join(map(str, self.steps))
            raise ConfigError("step", step, f"that of a snapshot of trial {self.id}: {known}")
        return self._load(step, self._runs[step])

    def _load(self, step: int, run: str) -> Member[Any]:
        from grokmodel.core.checkpoint import CheckpointError
        from service.data import snapshots

        if not self.store.exists(snapshot_key(self.id, step, run)):
            raise NoSnapshotError(
                f"trial {self.id}: no snapshot of its last step, {step}, in {self.store.url}: what "
                f"was imported has rows only; to train it: {self.command}"
            )
        try:
            return snapshots.load(self.store, self.id, step, run)
        except CheckpointError as error:
            raise ResultError(f"trial {self.id}: {error}") from error


def checked_table(name: str) -> str:
    """The name of a table, or a ConfigError."""
    if name not in TABLES:
        raise ConfigError("table", name, f"one of {', '.join(TABLES)}")
    return name
