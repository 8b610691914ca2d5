"""Progress measures over training (Nanda et al. 2023, arXiv 2301.05217), for images.

At t = 1 the output over all pairs is a grid of images. Restricted loss keeps the mean and the waves
of the rule, cos and sin of w_k (a + b), at the last snapshot's dominant frequencies; excluded loss
removes those waves. A rule that is being built shows as falling restricted loss while the loss on
held-out pairs still stands; what is memorized is what remains when the waves are gone.

With many dominant frequencies the waves over all pairs are little else than the mean over the pairs
of a sum, training pairs among them: a memorizer scores full restricted accuracy (the projection
leak, see `projections.py`). `restricted_acc_within_split` fits the waves to the strict pairs alone.

Shapes: M members (snapshots), P modulus, n order of the group, X pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from grokmodel.image.evaluate import Decoders
from grokmodel.probing.activations import grid_of, mean_activations
from grokmodel.probing.fourier import Spectrum, gini, rule_waves, spectrum
from grokmodel.probing.hooks import HookPoint, last_ffn
from grokmodel.probing.probe import Grids, Probe, Shares, shares
from grokmodel.probing.projections import OWN_AT_LEAST

T = 1.0
EMBEDDING, OUTPUT = HookPoint("embedding", "a"), HookPoint("output")


@dataclass(frozen=True)
class ProgressRow:
    """One snapshot; meanings in the table `progress`."""

    n_dominant: int
    train_loss: float
    strict_loss: float
    restricted_loss: float
    excluded_loss: float
    strict_acc: float
    restricted_acc: float
    restricted_acc_within_split: float
    excluded_acc: float
    gini_embedding: float
    gini_neurons: float
    gini_output: float


@torch.no_grad()
def progress(probe: Probe, decoders: Decoders, last: Sequence[int]) -> list[ProgressRow]:
    """One row per member.

    Args:
        probe: snapshots over the whole grid.
        last: for each member, the index of the last snapshot of its trial, which names the
            dominant frequencies.
    """
    neurons = last_ffn(probe.shape)
    names = (EMBEDDING.name, neurons.name, OUTPUT.name)
    seen = mean_activations(probe, T, names)
    found = [
        [
            spectrum(probe.order.arrange(grid_of(probe, seen[point.name], i, point)))
            for point in (EMBEDDING, neurons, OUTPUT)
        ]
        for i in range(len(probe))
    ]
    dominant = [found[i][-1] for i in last]
    out_MQX = seen[OUTPUT.name].flatten(2)
    images = versions(probe, out_MQX, dominant)
    # the loss against the mean image of the class: with N = 1 that is the training loss at t = 1
    target = torch.stack([t[c] for t, c in zip(probe.templates(), probe.c_MQ, strict=True)])
    losses = {name: (x - target).square().mean(-1) for name, x in images.items()}
    right = {
        name: shares(probe.right(x, decoders, steps=1), probe, in_group=True)
        for name, x in images.items()
    }
    rows = rows_of(probe, losses, right, dominant, found)
    own = _own_restricted(probe, out_MQX, dominant, decoders)
    if not probe.order.sign:
        return rows
    return [
        replace(row, restricted_acc_within_split=acc) for row, acc in zip(rows, own, strict=True)
    ]


def versions(probe: Grids, out_MQX: Tensor, dominant: Sequence[Spectrum]) -> dict[str, Tensor]:
    """The output over all pairs as it is, with nothing but the rule's waves, and without them."""
    return {
        "plain": out_MQX,
        "restricted": with_rule(probe, out_MQX, dominant, keep=True),
        "excluded": with_rule(probe, out_MQX, dominant, keep=False),
    }


def rows_of(
    probe: Grids,
    losses: Mapping[str, Tensor],
    right: Mapping[str, Sequence[Shares]],
    dominant: Sequence[Spectrum],
    found: Sequence[Sequence[Spectrum]],
) -> list[ProgressRow]:
    """A row per member of any family, without `restricted_acc_within_split`.

    Args:
        losses: of each of `versions` on every pair, (M, Q).
        right: accuracies of each of `versions`.
        dominant: per member, the spectrum that names its dominant frequencies.
        found: per member, the spectra of embedding, neurons and output.
    """
    group_Q = probe.order.pairs.reshape(-1)
    rows = []
    for i, split in enumerate(probe.pack.splits):
        train, strict = (
            np.intersect1d(pairs @ (probe.P, 1), group_Q)
            for pairs in (split.train, split.val[split.strict])
        )
        gini_embedding, gini_neurons, gini_output = (gini(s.fve) for s in found[i])
        rows.append(
            ProgressRow(
                n_dominant=len(dominant[i].dominant),
                train_loss=float(losses["plain"][i, train].mean()),
                strict_loss=float(losses["plain"][i, strict].mean()),
                restricted_loss=float(losses["restricted"][i, group_Q].mean()),
                excluded_loss=float(losses["excluded"][i, train].mean()),
                strict_acc=right["plain"][i].strict,
                restricted_acc=right["restricted"][i].strict,
                restricted_acc_within_split=float("nan"),
                excluded_acc=right["excluded"][i].train,
                gini_embedding=gini_embedding,
                gini_neurons=gini_neurons,
                gini_output=gini_output,
            )
        )
    return rows if probe.order.sign else [_without_rule(row) for row in rows]


def _without_rule(row: ProgressRow) -> ProgressRow:
    """Multiplication modulo a composite number has no cyclic rule to restrict the output to."""
    nan = float("nan")
    return replace(row, restricted_loss=nan, excluded_loss=nan, restricted_acc=nan,
                   excluded_acc=nan)  # fmt: skip


def _waves(probe: Grids, found: Spectrum) -> list[np.ndarray]:
    """(w, Q) waves of the rule at every dominant frequency."""
    order = probe.order
    return [rule_waves(order.n, k, order.sign).reshape(-1, order.n**2) for k in found.dominant]


def with_rule(probe: Grids, out_MQX: Tensor, dominant: Sequence[Spectrum], keep: bool) -> Tensor:
    """The output with its mean and the rule's waves at the dominant frequencies alone, or without
    these waves."""
    pair_Q = torch.from_numpy(probe.order.pairs.reshape(-1)).to(probe.device)
    out_MQX = out_MQX.clone()
    for i, found in enumerate(dominant):
        grid_QX = out_MQX[i, pair_Q]
        mean_X = grid_QX.mean(0)
        along_QX = torch.zeros_like(grid_QX)
        if waves := _waves(probe, found):
            wave_WQ = torch.from_numpy(np.concatenate(waves)).to(grid_QX)
            along_QX = wave_WQ.T @ (wave_WQ @ grid_QX)
        out_MQX[i, pair_Q] = mean_X + along_QX if keep else grid_QX - along_QX
    return out_MQX


def _own_restricted(
    probe: Probe, out_MQX: Tensor, dominant: Sequence[Spectrum], decoders: Decoders
) -> list[float]:
    """Accuracy on strict pairs of the rule's waves fitted to them alone; NaN if they are few."""
    order = probe.order
    out_MQX, enough = out_MQX.clone(), []
    for i, (split, found) in enumerate(zip(probe.pack.splits, dominant, strict=True)):
        strict_Q = np.isin(order.pairs.reshape(-1), split.val[split.strict] @ (probe.P, 1))
        waves = [np.ones((1, order.n**2)), *_waves(probe, found)]
        columns_QK = np.concatenate(waves).T[strict_Q]
        enough.append(len(columns_QK) >= OWN_AT_LEAST * columns_QK.shape[1])
        if enough[-1]:
            pairs = torch.from_numpy(order.pairs.reshape(-1)[strict_Q]).to(probe.device)
            hat = torch.from_numpy(columns_QK @ np.linalg.pinv(columns_QK)).to(out_MQX)
            out_MQX[i, pairs] = hat @ out_MQX[i, pairs]
    right = shares(probe.right(out_MQX, decoders, steps=1), probe, in_group=True)
    return [a.strict if ok else float("nan") for a, ok in zip(right, enough, strict=True)]
