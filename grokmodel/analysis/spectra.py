"""Spectra of every hook point, and of what the hook points would have to draw.

Shapes: M members, P modulus, n order of the cyclic group, d features of a hook point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grokmodel.probing.activations import collect
from grokmodel.probing.fourier import Spectrum, spectrum
from grokmodel.probing.hooks import NO_HEAD
from grokmodel.probing.probe import Probe

TARGET = "target"
"""Not a hook point of the model: the right image of every pair, which a perfect output equals."""


@dataclass(frozen=True)
class SpectrumRow:
    """One frequency of one hook point; meanings in the table `spectra`."""

    hook: str
    head: int
    t: float
    ordering: str
    frequency: int
    fve_a: float
    fve_b: float
    fve_ab: float
    fve_cross: float
    is_key: bool
    entropy: float


def spectra(probe: Probe, levels_t: Sequence[float]) -> list[list[SpectrumRow]]:
    """Rows of every member: all hook points at all noise levels t, and the target.

    Args:
        probe: over the whole grid of pairs.
    """
    ordering = probe.order.ordering
    rows: list[list[SpectrumRow]] = [[] for _ in probe.members]
    for t in levels_t:
        for mine, grids in zip(rows, collect(probe, t), strict=True):
            for grid in grids:
                found = spectrum(probe.order.arrange(grid.values))
                mine += _rows(found, grid.point.label, grid.point.head, t, ordering)
    for mine, target in zip(rows, target_grids(probe), strict=True):
        mine += _rows(spectrum(target), TARGET, NO_HEAD, 0.0, ordering)
    return rows


def target_grids(probe: Probe) -> np.ndarray:
    """(M, n, n, X) mean image of the right class of every pair, in the group's order."""
    templates_MPX = probe.templates().cpu().numpy()
    symbols = probe.order.elements
    c_PP = probe.c_MQ[0].reshape(probe.P, probe.P).cpu().numpy()
    return templates_MPX[:, c_PP[np.ix_(symbols, symbols)]]


def _rows(found: Spectrum, point: str, head: int, t: float, ordering: str) -> list[SpectrumRow]:
    key = found.key_frequencies
    return [
        SpectrumRow(
            hook=point,
            head=head,
            t=float(t),
            ordering=ordering,
            frequency=int(k),
            fve_a=float(found.fve_a[i]),
            fve_b=float(found.fve_b[i]),
            fve_ab=float(found.fve_ab[i]),
            fve_cross=found.cross,
            is_key=int(k) in key,
            entropy=found.entropy,
        )
        for i, k in enumerate(found.frequencies)
    ]
