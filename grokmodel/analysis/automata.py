"""The automaton inside a parity network, and which states have merged, over training.

Shapes: K sequences of the tree of all up to a length, H hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from grokmodel.parity.automaton import extract, mergers, minimal, tree_of
from grokmodel.parity.evaluate import accuracy_at
from grokmodel.parity.pack import Member, Pack

LONG, LONG_SEQUENCES = 1000, 20


@dataclass(frozen=True)
class AutomatonRow:
    """One snapshot; meanings in the table `automata`."""

    states: int
    minimal_states: int | None
    is_finite: bool
    computes_parity: bool
    conflicts: int
    agreeing: float
    disagreeing: float
    merged: float
    wrongly_merged: float
    acc_1000: float


@torch.no_grad()
def automata(members: Sequence[Member], device: torch.device) -> list[AutomatonRow]:
    """One row per member."""
    pack = Pack(members, device)
    long = accuracy_at(pack, LONG, LONG_SEQUENCES)
    out = []
    for i in range(len(pack.members)):
        params = pack.params(pack.state.average[i : i + 1])
        states_KH, output_K2 = tree_of(params, pack.shape.max_length)
        found, merged = extract(states_KH, output_K2), mergers(states_KH)
        out.append(
            AutomatonRow(
                states=found.states,
                minimal_states=minimal(found).states if found.is_finite else None,
                is_finite=found.is_finite,
                computes_parity=found.computes_parity,
                conflicts=found.conflicts,
                agreeing=merged.agreeing,
                disagreeing=merged.disagreeing,
                merged=merged.merged,
                wrongly_merged=merged.wrongly_merged,
                acc_1000=long[i],
            )
        )
    return out
