"""The analyses there are: what each needs, which tables it fills and what it costs.

An analysis takes members (checkpoints) of one shape, P and operation along the member axis and
returns typed rows for each; it knows nothing of stores. `docs/analyses.md` has the measured costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from grokmodel.analysis.basins import STARTS
from grokmodel.analysis.timesteps import FEW_PAIRS, LEVELS, PAIRS
from grokmodel.catalog.runs import RUNS, Context, Found
from grokmodel.core.member import Member
from grokmodel.core.rows import Row
from grokmodel.denoiser.denoiser import EVERY, FIT, STEPS, TEST
from grokmodel.errors import ConfigError

FLOATS_AT_ONCE = {"cpu": 20e6, "cuda": 1e9}
"""Numbers of a wide activation that go through the model together, at most."""


@dataclass(frozen=True)
class Analysis:
    """One analysis."""

    name: str
    tables: tuple[str, ...]
    budget: str
    """Samples a checkpoint, in words."""
    over_training: bool = False
    """Over all snapshots of a trial rather than its last one."""
    quick: bool = False
    """Cheap enough for every trial of a quick sweep; the others are for one trial per phase."""
    floats: Callable[[Any], int] = lambda config: int(config.activations)
    """Numbers of a wide activation of a checkpoint, all that it is shown at a time together."""

    @property
    def families(self) -> tuple[str, ...]:
        """Those whose trials it is for."""
        return tuple(name for name, runs in RUNS.items() if self.name in runs)

    def run(self, members: Sequence[Any], context: Context) -> Found:
        """Rows of members, all of one family and kind."""
        return RUNS[members[0].config.family][self.name](members, context)

    def most(self, config: Any, checkpoints: int, device: torch.device) -> int:
        """Trials of a config and so many checkpoints that go through the model together."""
        each = checkpoints * self.floats(config)
        return max(1, math.floor(FLOATS_AT_ONCE[device.type] / each))

    def rows(
        self, found: Found, members: Sequence[Member[Any]], runs: Mapping[str, str]
    ) -> dict[str, list[Row]]:
        """What was found of members, each row with the checkpoint that it is of.

        Args:
            runs: of every trial.
        """
        tables: dict[str, list[Row]] = {}
        for table in self.tables:
            tables[table] = []
            for member, mine in zip(members, found[table], strict=True):
                trial_id = member.config.trial_id
                of = {"trial_id": trial_id, "run_id": runs[trial_id], "step": member.step}
                tables[table] += [{**of, **vars(row)} for row in mine]
        return tables

    def mark(
        self,
        trial_id: str,
        run_id: str,
        checkpoints: int,
        seconds: float,
        device: torch.device,
        settings: str = "",
    ) -> Row:
        """The row of `analyses` that says that it is done.

        Args:
            settings: what was asked for beyond its defaults.
        """
        return {
            "trial_id": trial_id, "run_id": run_id, "analysis": self.name, "settings": settings,
            "checkpoints": checkpoints, "seconds": seconds, "device": device.type,
        }  # fmt: skip


_LEVEL_ROWS = LEVELS * PAIRS
ANALYSES = (
    Analysis(
        "spectra", ("spectra",), quick=True,
        budget="all P² pairs at each t, shown the right and a wrong result, mean of 4 draws where "
        "images or noise vary; each in 100 random orders",
    ),
    Analysis(
        "progress", ("progress",), quick=True, over_training=True,
        budget="all P² pairs at t = 1, each snapshot",
    ),
    Analysis(
        "basins", ("basins",), quick=True, over_training=True,
        floats=lambda c: int(2 * STARTS * c.width),
        budget=f"{STARTS} starts for training and {STARTS} for strict pairs (of rules: from half "
        "of a training image, or of another), each snapshot",
    ),
    Analysis(
        "complexity", ("complexity",), quick=True, over_training=True,
        budget="every weight matrix, each snapshot",
    ),
    Analysis(
        "heads", ("heads",), quick=True,
        budget="all P² pairs at t = 1: once as it is, twice a head",
    ),
    Analysis(
        "identities", ("identities",),
        budget="all P² pairs at t = 1; 5 random directions",
    ),
    Analysis(
        "representation", ("representation", "pca"), over_training=True,
        budget="all P² pairs at t = 0 and 1, each snapshot",
    ),
    Analysis(
        "ablations", ("ablations",),
        budget="1-step samples of all P² pairs: 2 modes of 1 top, 5 random and 1 within-split set, "
        "for each hook point and size",
    ),
    Analysis(
        "blocked", ("blocked",),
        budget="samples of all P² pairs, switched at each of `sample_steps` + 1 levels, 2 modes",
    ),
    Analysis(
        "timesteps", ("timesteps", "critical"),
        floats=lambda c: int(_LEVEL_ROWS * c.width),
        budget=f"{LEVELS} levels; {PAIRS} pairs rectified, {FEW_PAIRS} recovered; entropy of all "
        "P² pairs",
    ),
    Analysis(
        "swaps", ("swaps",),
        floats=lambda c: int(LEVELS * FEW_PAIRS * c.width),
        budget=f"{LEVELS} levels, {FEW_PAIRS} pairs",
    ),
    Analysis(
        "learning_coefficient", ("learning_coefficient",),
        budget="2 chains of 60 steps, of which 30 count",
    ),
    Analysis(
        "denoiser", ("denoiser",), over_training=True,
        floats=lambda c: int((FIT + TEST) * c.activations),
        budget=f"all P² pairs at 10 noise levels, {FIT + TEST} draws of noise, each snapshot",
    ),
    Analysis(
        "skips", ("skips",),
        floats=lambda c: int(STEPS // EVERY * c.activations),
        budget=f"samples of all P² pairs in {STEPS} steps, of which 0, {EVERY}, ... "
        f"{STEPS - EVERY} are skipped in 3 ways",
    ),
    Analysis(
        "spectral_bias", ("spectral_bias",), over_training=True,
        budget="all P² pairs at 4 noise levels, 2 draws of noise, each snapshot",
    ),
    Analysis(
        "dictionaries", ("dictionaries",),
        budget="all P² pairs at t = 1; 3 kinds of autoencoder, 3 seeds, 400 steps each; 100 "
        "random orders",
    ),
    Analysis(
        "automata", ("automata",), quick=True, over_training=True,
        budget="all training lengths, each snapshot",
    ),
)  # fmt: skip
BY_NAME = {analysis.name: analysis for analysis in ANALYSES}


def chosen(names: Sequence[str] | None) -> tuple[Analysis, ...]:
    """The analyses of these names, in the order in which they run; None: all.

    Raises:
        ConfigError: a name that is not an analysis.
    """
    for name in names or ():
        if name not in BY_NAME:
            raise ConfigError("--only", name, f"one of {', '.join(BY_NAME)}")
    return tuple(a for a in ANALYSES if names is None or a.name in names)
