"""Spectra of every hook point, each against its null, and of what it would have to draw.

Below t = 1 the noisy image that the model is shown is one of a + b: what varies with the sum may be
in the input and computed by nobody. So it is shown the right result, as in the paper, and beside
that a wrong one. What counts as computed is what is there with a wrong one, or at t = 1.

Shapes: M members, P modulus, n order of the cyclic group, d features of a hook point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grokmodel.probing.activations import collect
from grokmodel.probing.hooks import NO_HEAD
from grokmodel.probing.null import SpectrumWithNull, against_null
from grokmodel.probing.probe import Probe

TARGET = "target"
"""Not a hook point of the model: the right image of every pair, which a perfect output equals."""
RIGHT, WRONG, NOTHING = "right", "wrong", "nothing"
"""What the noisy image shows; at t = 1 it is noise alone."""


@dataclass(frozen=True)
class SpectrumRow:
    """One frequency of one hook point; meanings in the table `spectra`."""

    hook: str
    head: int
    t: float
    shown: str
    ordering: str
    frequency: int
    fve_a: float
    fve_b: float
    fve_ab: float
    fve_cross: float
    null_q95: float
    p_value: float
    p_dominant: float
    is_key: bool
    entropy: float


def spectra(probe: Probe, levels_t: Sequence[float]) -> list[list[SpectrumRow]]:
    """Rows of every member: all hook points at all noise levels t, by what is shown; the target.

    Args:
        probe: over the whole grid of pairs.
    """
    rows: list[list[SpectrumRow]] = [[] for _ in probe.members]
    for t in levels_t:
        for shown in (NOTHING,) if t == 1 else (RIGHT, WRONG):
            c_MQ = probe.wrong_classes() if shown == WRONG else None
            for i, grids in enumerate(collect(probe, t, c_MQ=c_MQ)):
                values = [probe.order.arrange(grid.values) for grid in grids]
                found = against_null(values, probe.random_orders[i])
                for grid, one in zip(grids, found, strict=True):
                    rows[i] += rows_of(
                        one, probe.order.ordering, grid.point.label, grid.point.head, t, shown
                    )
    for i, target in enumerate(target_grids(probe)):
        (one,) = against_null([target], probe.random_orders[i])
        rows[i] += rows_of(one, probe.order.ordering, TARGET, NO_HEAD, 0.0, RIGHT)
    return rows


def target_grids(probe: Probe) -> np.ndarray:
    """(M, n, n, X) mean image of the right class of every pair, in the group's order."""
    templates_MPX = probe.templates().cpu().numpy()
    symbols = probe.order.elements
    c_PP = probe.c_MQ[0].reshape(probe.P, probe.P).cpu().numpy()
    return templates_MPX[:, c_PP[np.ix_(symbols, symbols)]]


def rows_of(
    found: SpectrumWithNull, ordering: str, hook: str, head: int, t: float, shown: str
) -> list[SpectrumRow]:
    """A row per frequency."""
    key, p_values, p_dominant = found.key_frequencies, found.p_values, found.p_dominant
    null_q95, entropy = found.null_q95, found.entropy
    return [
        SpectrumRow(
            hook=hook,
            head=head,
            t=float(t),
            shown=shown,
            ordering=ordering,
            frequency=int(k),
            fve_a=float(found.fve_a[i]),
            fve_b=float(found.fve_b[i]),
            fve_ab=float(found.fve_ab[i]),
            fve_cross=found.cross,
            null_q95=null_q95,
            p_value=float(p_values[i]),
            p_dominant=p_dominant,
            is_key=int(k) in key,
            entropy=entropy,
        )
        for i, k in enumerate(found.frequencies)
    ]
