"""What is measured of a checkpoint that others have published, on one screen of text."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from grokmodel.analysis import tokens
from grokmodel.analysis.ablations import RANDOM, TOP
from grokmodel.probing.projections import REMOVE
from grokmodel.probing.token_probe import NEURONS, OUTPUT, TokenProbe
from grokmodel.tokens.pack import cross_entropy
from grokmodel.tokens.published import Published, read_published

MARGIN = 11
ONE_FREQUENCY = 0.85
"""Share of its variance from which a neuron is one of a frequency, as in the paper."""


def published_probe(published: Published) -> TokenProbe:
    """The checkpoint with its own training pairs, for `grokmodel.analysis.tokens`."""
    probe = TokenProbe([published.member], torch.device("cpu"))
    probe.pack.splits = [published.split]
    return probe


def published_card(path: Path, seed: int | None = None, train_fraction: float | None = None) -> str:
    """A published checkpoint in words: sizes, losses beside those in its file, key frequencies,
    restricted and excluded loss, what is left without the neurons' dominant frequencies.

    Raises:
        DataError, ConfigError: see `read_published`.
    """
    published = read_published(path, seed, train_fraction)
    probe = published_probe(published)
    config, split = published.member.config, published.split
    lines = [
        ("checkpoint", str(path)),
        ("model", f"P = {config.P}, {config.op}, width {config.width}, {config.heads} heads, "
                  f"{config.ffn} hidden units"),
        ("pairs", f"{len(split.train):,} train, {len(split.val):,} validate, "
                  f"{int(split.strict.sum()):,} of them strict"),
        *_losses(published, probe),
        *_frequencies(probe),
        *_neurons(probe),
        *_uses(probe),
    ]  # fmt: skip
    return "\n".join(f"{label:<{MARGIN}}{text}" for label, text in lines)


def _losses(published: Published, probe: TokenProbe) -> Iterator[tuple[str, str]]:
    """Accuracy and loss over the pairs that train and the others; those in the file beside them:
    if they differ, other pairs were trained on."""
    right_Q = probe.right(probe.seen[OUTPUT.name])[0].numpy()
    loss_Q = cross_entropy(probe.seen[OUTPUT.name], probe.c_MQ)[0].numpy()
    sides = (("train", published.split.train), ("test", published.split.val))
    for side, pairs in sides:
        mine = pairs @ np.array((probe.P, 1))
        recorded = published.losses.get(side)
        beside = "none" if recorded is None else f"{recorded:.4g}"
        words = f"accuracy {right_Q[mine].mean():.4f}, loss {loss_Q[mine].mean():.4g}"
        yield side, f"{words} (in the file: {beside})"


def _frequencies(probe: TokenProbe) -> Iterator[tuple[str, str]]:
    """Key frequencies with their shares of the variance."""
    rows = tokens.spectra(probe)[0]
    for hook in ("embedding[a]", NEURONS.label, OUTPUT.label):
        keys = [row for row in rows if row.hook == hook and row.is_key]
        said = (f"{row.frequency} ({row.fve_a + row.fve_b + row.fve_ab:.2f})" for row in keys)
        yield "key freq.", f"{hook}: {', '.join(said) or 'none'}"


def _neurons(probe: TokenProbe) -> Iterator[tuple[str, str]]:
    """How many neurons are of one frequency, as the paper counts them: so much of a neuron's
    variance is in waves of a, of b and of both at that frequency."""
    grid_PPF = probe.grids(0, [NEURONS])[0].values
    n, hidden = probe.order.n, grid_PPF.shape[-1]
    grid_nnF = probe.order.arrange(grid_PPF)
    power_nnF = np.abs(np.fft.fft2(grid_nnF - grid_nnF.mean((0, 1)), axes=(0, 1))) ** 2
    waves = [np.ix_((0, k, n - k), (0, k, n - k)) for k in range(1, (n + 1) // 2)]
    share_KF = np.stack([power_nnF[wave].sum((0, 1)) for wave in waves])
    share_KF /= np.maximum(power_nnF.sum((0, 1)), np.finfo(float).tiny)
    counts = Counter((share_KF.argmax(0) + 1)[share_KF.max(0) > ONE_FREQUENCY].tolist())
    said = (f"{count} of frequency {k}" for k, count in sorted(counts.items()))
    yield "neurons", f"of {hidden}: {', '.join(said) or 'none of one frequency'}"


def _uses(probe: TokenProbe) -> Iterator[tuple[str, str]]:
    """What the frequencies do."""
    (row,) = tokens.progress(probe, [0])
    waves = f"the rule's waves at the logits' {row.n_dominant} frequencies"
    yield "restricted", f"loss {row.restricted_loss:.4g} with nothing but {waves}, all pairs"
    yield "excluded", f"loss {row.excluded_loss:.4g} without them, training pairs"
    found = [a for a in tokens.ablations(probe)[0] if (a.hook, a.mode) == (NEURONS.name, REMOVE)]
    top, other = (
        statistics.median(a.val_acc_strict for a in found if a.selection == selection)
        for selection in (TOP, RANDOM)
    )
    words = f"strict accuracy without the neurons' dominant frequencies {top:.2f}"
    yield "ablated", f"{words}, without as many random ones {other:.2f}"
