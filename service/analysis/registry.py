"""The analyses there are: what each needs, which tables it fills and what it costs.

An analysis takes members (checkpoints) of one shape, P and operation along the member axis and
returns typed rows for each; it knows nothing of stores. `docs/analyses.md` has the measured costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from grokmodel.analysis import rules, tokens
from grokmodel.analysis.ablations import ablations, blocked
from grokmodel.analysis.automata import automata
from grokmodel.analysis.basins import STARTS, basins
from grokmodel.analysis.complexity import complexity
from grokmodel.analysis.heads import heads
from grokmodel.analysis.identities import identities
from grokmodel.analysis.learning_coefficient import learning_coefficient
from grokmodel.analysis.progress import progress
from grokmodel.analysis.representation import representation
from grokmodel.analysis.spectra import spectra
from grokmodel.analysis.timesteps import FEW_PAIRS, LEVELS, PAIRS, swaps, timesteps
from grokmodel.core.family import Inputs
from grokmodel.denoiser.denoiser import EVERY, FIT, STEPS, TEST, denoiser, skips
from grokmodel.denoiser.spectral_bias import spectral_bias
from grokmodel.dictionaries.dictionaries import dictionaries
from grokmodel.errors import ConfigError
from grokmodel.families import family_of
from grokmodel.image.evaluate import Decoders
from grokmodel.image.pack import Member
from grokmodel.probing.probe import Probe
from grokmodel.probing.token_probe import TokenProbe

LEVELS_T = (0.0, 0.5, 1.0)
"""Noise levels of the spectra, unless others are asked for."""
Found = dict[str, list[list[Any]]]
"""Table -> rows of every member."""


@dataclass(frozen=True)
class Context:
    """What analyses need besides members."""

    inputs: Inputs
    device: torch.device
    levels_t: tuple[float, ...] = LEVELS_T


Run = Callable[[Sequence[Any], Context], Found]
"""What computes an analysis: a function of members of one kind."""


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


def _grid(members: Sequence[Member], context: Context) -> Probe:
    return Probe(members, context.inputs.banks, context.device)


def _decoded(table: str, measure: Callable[[Probe, Decoders], list[list[Any]]]) -> Run:
    """An analysis of a grid that decodes samples and fills one table."""
    return lambda members, context: {
        table: measure(_grid(members, context), context.inputs.decoders)
    }


def last_of_trial(members: Sequence[Member]) -> list[int]:
    """For each member the index of the last checkpoint of its trial."""
    last: dict[str, int] = {}
    for i, member in enumerate(members):
        known = last.get(member.config.trial_id)
        if known is None or member.step > members[known].step:
            last[member.config.trial_id] = i
    return [last[m.config.trial_id] for m in members]


def _spectra(members: Sequence[Member], context: Context) -> Found:
    return {"spectra": spectra(_grid(members, context), context.levels_t)}


def _identities(members: Sequence[Member], context: Context) -> Found:
    return {"identities": identities(_grid(members, context))}


def _progress(members: Sequence[Member], context: Context) -> Found:
    rows = progress(_grid(members, context), context.inputs.decoders, last_of_trial(members))
    return {"progress": [[row] for row in rows]}


def _timesteps(members: Sequence[Member], context: Context) -> Found:
    by_level, in_all = timesteps(_grid(members, context), context.inputs.decoders)
    return {"timesteps": by_level, "critical": in_all}


def _representation(members: Sequence[Member], context: Context) -> Found:
    pictured = [i == last for i, last in enumerate(last_of_trial(members))]
    scalars, pictures = representation(_grid(members, context), pictured)
    return {"representation": scalars, "pca": pictures}


def _spectral_bias(members: Sequence[Member], context: Context) -> Found:
    return {"spectral_bias": spectral_bias(_grid(members, context), last_of_trial(members))}


def _complexity(members: Sequence[Any], context: Context) -> Found:
    """Of any family."""
    return {"complexity": [complexity(m) for m in members]}


def _learning_coefficient(members: Sequence[Any], context: Context) -> Found:
    """Of any family."""
    family = family_of(members[0].config)

    def fuse(copies: Sequence[Any]) -> Any:
        return family.fuse(copies, context.inputs, context.device)

    rows = [learning_coefficient(m, fuse, family.examples(m)) for m in members]
    return {"learning_coefficient": rows}


_IMAGE: dict[str, Run] = {
    "spectra": _spectra,
    "progress": _progress,
    "basins": _decoded("basins", basins),
    "heads": _decoded("heads", heads),
    "identities": _identities,
    "representation": _representation,
    "ablations": _decoded("ablations", ablations),
    "blocked": _decoded("blocked", blocked),
    "timesteps": _timesteps,
    "swaps": _decoded("swaps", swaps),
    "denoiser": lambda members, context: {"denoiser": denoiser(_grid(members, context))},
    "skips": _decoded("skips", skips),
    "spectral_bias": _spectral_bias,
    "dictionaries": lambda members, context: {
        "dictionaries": dictionaries(_grid(members, context))
    },
}

# --- of token models ------------------------------------------------------------------------------


def _tokens(measure: Callable[..., Found]) -> Run:
    """An analysis of token models over all pairs."""
    return lambda members, context: measure(TokenProbe(members, context.device), members)


_TOKENS: dict[str, Run] = {
    "spectra": _tokens(lambda probe, _: {"spectra": tokens.spectra(probe)}),
    "ablations": _tokens(lambda probe, _: {"ablations": tokens.ablations(probe)}),
    "heads": _tokens(lambda probe, _: {"heads": tokens.heads(probe)}),
    "progress": _tokens(lambda probe, members: {
        "progress": [[row] for row in tokens.progress(probe, last_of_trial(members))]
    }),
    "representation": _tokens(lambda probe, members: dict(zip(
        ("representation", "pca"),
        tokens.representation(probe, [i == k for i, k in enumerate(last_of_trial(members))]),
    ))),
}  # fmt: skip


# --- of parity networks ---------------------------------------------------------------------------


def _automata(members: Sequence[Any], context: Context) -> Found:
    return {"automata": [[row] for row in automata(members, context.device)]}


# --- of models of rule-valid images ---------------------------------------------------------------


def _basins_of_rules(members: Sequence[Any], context: Context) -> Found:
    return {"basins": rules.basins(members, context.device)}


_ANY: dict[str, Run] = {
    "complexity": _complexity, "learning_coefficient": _learning_coefficient,
}  # fmt: skip
RUNS: dict[str, dict[str, Run]] = {
    "image": _IMAGE | _ANY, "tokens": _TOKENS | _ANY, "parity": {"automata": _automata} | _ANY,
    "rules": {"basins": _basins_of_rules} | _ANY,
}  # fmt: skip
"""Family -> analysis -> what computes it."""


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
