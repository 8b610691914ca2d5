"""What is measured of a token model: the same tables as of the image model, by its logits.

Restricted and excluded loss, and the spectra, are as in Nanda et al. 2023 (arXiv 2301.05217); heads
are patched and ablated as in "Grokking From Abstraction to Intelligence".

Shapes: M members, Q = P^2 pairs, P modulus, n order of the group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from grokmodel.analysis.ablations import ALL, CLEAN, AblationRow, row_of, top_and_random
from grokmodel.analysis.heads import Edit, Effect, HeadRow
from grokmodel.analysis.heads import rows_of as head_rows
from grokmodel.analysis.progress import ProgressRow, versions
from grokmodel.analysis.progress import rows_of as progress_rows
from grokmodel.analysis.representation import PcaRow, RepresentationRow, of_grids
from grokmodel.analysis.spectra import NOTHING, SpectrumRow, rows_of
from grokmodel.core.member import Hook
from grokmodel.probing.fourier import spectrum
from grokmodel.probing.hooks import HookPoint
from grokmodel.probing.null import against_null
from grokmodel.probing.probe import Shares, shares
from grokmodel.probing.projections import KEEP, REMOVE, projected
from grokmodel.probing.token_probe import NEURONS, OUTPUT, T, TokenProbe, editor
from grokmodel.tokens.pack import cross_entropy

EMBEDDING = HookPoint("embedding", "a")
ABLATED = (EMBEDDING.name, "block0.attention", "block0.ffn.pre", NEURONS.name, OUTPUT.name)
"""Activations that are projected."""


def spectra(probe: TokenProbe) -> list[list[SpectrumRow]]:
    """Rows of every member: all hook points, each against its null."""
    rows: list[list[SpectrumRow]] = []
    for i, orders_Rn in enumerate(probe.random_orders):
        grids = probe.grids(i)
        found = against_null([probe.order.arrange(g.values) for g in grids], orders_Rn)
        rows.append([
            row
            for grid, one in zip(grids, found, strict=True)
            for row in rows_of(one, probe.order.ordering, grid.point.label, grid.point.head, T,
                               NOTHING)
        ])  # fmt: skip
    return rows


# --- progress -------------------------------------------------------------------------------------


@torch.no_grad()
def progress(probe: TokenProbe, last: Sequence[int]) -> list[ProgressRow]:
    """One row per member; losses are cross-entropies.

    Args:
        probe: snapshots.
        last: for each member, the index of the last snapshot of its trial, which names the
            dominant frequencies of the logits.
    """
    points = (EMBEDDING, NEURONS, OUTPUT)
    found = [
        [spectrum(probe.order.arrange(g.values)) for g in probe.grids(i, points)]
        for i in range(len(probe))
    ]
    dominant = [found[i][-1] for i in last]
    logits = versions(probe, probe.seen[OUTPUT.name].double(), dominant)
    losses = {name: cross_entropy(x, probe.c_MQ) for name, x in logits.items()}
    right = {name: shares(probe.right(x), probe, in_group=True) for name, x in logits.items()}
    return progress_rows(probe, losses, right, dominant, found)


# --- ablations ------------------------------------------------------------------------------------


@torch.no_grad()
def ablations(probe: TokenProbe) -> list[list[AblationRow]]:
    """Rows of every member: activations with their dominant frequencies, or as many random ones,
    removed, or nothing but them kept."""
    clean = _accuracies(probe, None)
    rows = [[AblationRow("", CLEAN, "", 0, 0, ALL, "", False, *a)] for a in clean]
    for name in ABLATED:
        points = [point for point in probe.points if point.name == name]
        values = [np.concatenate([g.values for g in probe.grids(i, points)], -1)
                  for i in range(len(probe))]  # fmt: skip
        found = [
            against_null([probe.order.arrange(grid)], orders)[0]
            for grid, orders in zip(values, probe.random_orders, strict=True)
        ]
        key = [set(one.key_frequencies) for one in found]
        for selection, draw, chosen in top_and_random(probe, [one.dominant for one in found]):
            for mode in (REMOVE, KEEP):
                edit = projected(probe.order, chosen, mode, probe.device)
                accuracies = _accuracies(probe, editor(points, edit))
                for mine, some, of_key, a in zip(rows, chosen, key, accuracies, strict=True):
                    if some:
                        mine.append(row_of(name, mode, selection, draw, ALL, some, of_key, a))
    return rows


def _accuracies(probe: TokenProbe, hook: Hook | None) -> list[Shares]:
    return shares(probe.right(probe.predict(hook)), probe, in_group=True)


# --- heads and states -----------------------------------------------------------------------------


@torch.no_grad()
def heads(probe: TokenProbe) -> list[list[HeadRow]]:
    """Rows of every member; the margin is the right logit less the largest wrong one."""

    def effect(hook: Hook | None) -> Effect:
        logits_MQP = probe.predict(hook)
        accuracy = [a.strict for a in shares(probe.right(logits_MQP), probe)]
        return _margins(probe, logits_MQP), accuracy

    def hooked(point: HookPoint, edit: Edit) -> Hook:
        return editor([point], edit)

    return head_rows(probe, 1, probe.shape.heads, effect, hooked)


def _margins(probe: TokenProbe, logits_MQP: Tensor) -> list[float]:
    """Mean over the defined pairs of the right logit less the largest wrong one."""
    c_MQ1 = probe.c_MQ[..., None]
    wrong_MQ = logits_MQP.scatter(2, c_MQ1, -torch.inf).amax(-1)
    margin_MQ = logits_MQP.gather(2, c_MQ1)[..., 0] - wrong_MQ
    return [float(m[d].mean()) for m, d in zip(margin_MQ, probe.defined_MQ, strict=True)]


def representation(
    probe: TokenProbe, pictured: Sequence[bool]
) -> tuple[list[list[RepresentationRow]], list[list[PcaRow]]]:
    """Rows of every member over the whole grid: are pairs with the same result together?

    Args:
        pictured: for each member, whether its principal components are wanted too.
    """
    found = [
        of_grids(probe.grids(i), T, probe.defined_MQ[i].cpu().numpy(), probe.c_MQ[i].cpu().numpy(),
                 pictured[i])
        for i in range(len(probe))
    ]  # fmt: skip
    return [scalars for scalars, _ in found], [pictures for _, pictures in found]
