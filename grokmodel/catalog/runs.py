"""What computes each analysis, by family: the functions of `grokmodel` behind one signature.

Members are checkpoints of one shape, P and operation along the member axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from grokmodel.analysis import rules, tokens
from grokmodel.analysis.ablations import ablations, blocked
from grokmodel.analysis.automata import automata
from grokmodel.analysis.basins import basins
from grokmodel.analysis.complexity import complexity
from grokmodel.analysis.heads import heads
from grokmodel.analysis.identities import identities
from grokmodel.analysis.learning_coefficient import learning_coefficient
from grokmodel.analysis.progress import progress
from grokmodel.analysis.representation import representation
from grokmodel.analysis.spectra import spectra
from grokmodel.analysis.timesteps import swaps, timesteps
from grokmodel.core.family import Inputs
from grokmodel.denoiser.denoiser import denoiser, skips
from grokmodel.denoiser.spectral_bias import spectral_bias
from grokmodel.dictionaries.dictionaries import dictionaries
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


def _grid(members: Sequence[Member], context: Context) -> Probe:
    return Probe(members, context.inputs.banks, context.device)


def _measured(table: str, measure: Callable[[Probe], list[list[Any]]]) -> Run:
    """An analysis of a grid that fills one table."""
    return lambda members, context: {table: measure(_grid(members, context))}


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
    "identities": _measured("identities", identities),
    "representation": _representation,
    "ablations": _decoded("ablations", ablations),
    "blocked": _decoded("blocked", blocked),
    "timesteps": _timesteps,
    "swaps": _decoded("swaps", swaps),
    "denoiser": _measured("denoiser", denoiser),
    "skips": _decoded("skips", skips),
    "spectral_bias": _spectral_bias,
    "dictionaries": _measured("dictionaries", dictionaries),
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
