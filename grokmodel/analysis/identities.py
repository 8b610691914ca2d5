"""Trigonometric identities: do the neurons write cos(w_k (a + b)) as a product formula says?

Directions in neuron space come from the output side alone: what an image holds of each centered
class template (by least squares) is Fourier-transformed over c, and the gradient of that with
respect to the neurons gives u_k (cosine) and v_k (sine); right images have an FVE of 1. Along them
the neurons' activity F(a, b) is regressed on the four products of cos and sin; cos(w(a + b)) =
cos cos - sin sin, sin(w(a + b)) = cos sin + sin cos (arXiv 2604.17673).

F is the activity behind the last FFN's non-linearity (`post`), where the directions come from, and
before it (`pre`), as in the paper. Behind it a right output needs every frequency alike, whichever
the model computes with; before it there are only those, and coefficients at key frequencies are far
larger than at others. The directions are the same in both: one number per neuron. Of SwiGLU, which
has two units per neuron before it, `pre` is the one that is multiplied (the value), not the gate.

Random directions are the scale of chance. They are a lenient control: what one direction holds of
the rule is shared out over all n / 2 frequencies, so their mean is 1 / (n - 1) at best even where
the neurons hold nothing else.

Shapes: M members, Q pairs, n order of the group, C tokens, F neurons, X pixels, V directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokmodel.probing.activations import grid_of, mean_activations
from grokmodel.probing.hooks import editor, last_ffn
from grokmodel.probing.null import against_null
from grokmodel.probing.probe import Probe

T = 1.0
"""Noise level: pure noise, where the answer can come from a and b alone."""
RANK_TOLERANCE = 1e-5
"""Singular values of the templates below this share of the largest are rounding (float32): the
centered ones are one short of full rank."""
CONTROLS = 5
"""Random directions per member."""
OUTPUT = -1
"""`control` of a direction from the output side."""


@dataclass(frozen=True)
class IdentityRow:
    """One direction regressed at one frequency; meanings in the table `identities`."""

    hook: str
    frequency: int
    direction: str
    control: int
    cos_cos: float
    sin_sin: float
    cos_sin: float
    sin_cos: float
    fve: float
    fve_rule: float
    is_key: bool


def identities(probe: Probe) -> list[list[IdentityRow]]:
    """Rows of every member, over the whole grid of pairs at t = 1; none without a cyclic rule."""
    if probe.order.sign == 0:
        return [[] for _ in probe.members]
    points = [last_ffn(probe.shape, part) for part in ("pre", "post")]
    directions_MVF = output_directions(probe).cpu().numpy()
    seen = mean_activations(probe, T, [point.name for point in points])
    out = []
    for i, member in enumerate(probe.members):
        grids = [probe.order.arrange(grid_of(probe, seen[p.name], i, p)) for p in points]
        key = against_null(grids[:1], probe.random_orders[i])[0].key_frequencies
        rng = np.random.default_rng([member.config.seed, probe.P])
        random_VF = rng.standard_normal((CONTROLS, directions_MVF.shape[-1]))
        rows = []
        for point, grid in zip(points, grids, strict=True):
            F_nnF = _neurons(probe, grid)
            for k, direction, control, u_F in _directions(probe, directions_MVF[i], random_VF):
                found = _regress(F_nnF @ u_F, k, direction, probe.order.sign)
                row = IdentityRow(point.label, k, direction, control, is_key=k in key, **found)
                rows.append(row)
        out.append(rows)
    return out


def _neurons(probe: Probe, grid: np.ndarray) -> np.ndarray:
    """(n, n, C * F) one number per neuron: of the two units of SwiGLU the value, not the gate."""
    C, ffn = probe.shape.tokens_per_image, probe.shape.ffn
    units = grid.astype(np.float64).reshape(*grid.shape[:2], C, -1)
    return units[..., -ffn:].reshape(*grid.shape[:2], -1)


def _directions(
    probe: Probe, directions_VF: np.ndarray, random_VF: np.ndarray
) -> Iterator[tuple[int, str, int, np.ndarray]]:
    """(k, wave, control, direction) of all regressions: from the output side, then random ones."""
    n = probe.order.n
    for k in _frequencies(n).tolist():
        for wave, direction in enumerate(("cos", "sin")):
            if wave == 0 or 2 * k != n:  # the sine of the Nyquist frequency is zero
                yield k, direction, OUTPUT, directions_VF[2 * (k - 1) + wave]
    for control, u_F in enumerate(random_VF):
        for k in _frequencies(n).tolist():
            yield k, "cos", control, u_F


def output_directions(probe: Probe) -> Tensor:
    """(M, V, C * F) gradient of each wave over c of the projected output; cos and sin alternate.

    The gradient is averaged over all pairs; it is the same for all, the map being linear, unless a
    LayerNorm stands before the output.
    """
    order = probe.order
    templates = probe.templates()[:, list(order.elements)]  # (M, n, X) in the group's order
    centered = templates - templates.mean(1, keepdim=True)
    angle = 2 * np.pi * np.outer(_frequencies(order.n), np.arange(order.n)) / order.n
    waves = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1)).flatten(0, 1)
    # templates overlap: their dual basis reads one class off an image without the others
    dual_MXn = torch.linalg.pinv(centered.double(), rtol=RANK_TOLERANCE).to(centered)
    wave_MVX = torch.einsum("vn,mxn->mvx", waves.to(centered), dual_MXn)
    point = last_ffn(probe.shape)
    C, ffn = probe.shape.tokens_per_image, probe.shape.ffn
    nudge = torch.zeros(len(probe), 1, C, ffn, device=probe.device, requires_grad=True)
    hook = editor([point], probe.shape, lambda _, part: part + nudge)
    mean_MX = probe.predict(probe.noised(T, 0), T, probe.operands(), hook).mean(1)
    score_MV = torch.einsum("mx,mvx->mv", mean_MX, wave_MVX)
    grads = [
        torch.autograd.grad(score_MV[:, v].sum(), nudge, retain_graph=True)[0]
        for v in range(score_MV.shape[1])
    ]
    return torch.stack(grads, dim=1).flatten(2)


def _frequencies(n: int) -> np.ndarray:
    return np.arange(1, n // 2 + 1)


def _regress(projected_nn: np.ndarray, k: int, direction: str, sign: int) -> dict[str, float]:
    """Coefficients of the four products at frequency k and the variance that they explain."""
    n = len(projected_nn)
    angle = 2 * np.pi * k * np.arange(n) / n
    wave = {"cos": np.cos(angle), "sin": np.sin(angle)}
    centered = projected_nn - projected_nn.mean()
    variance = np.square(centered).sum()
    coefficient, explained = {}, 0.0
    for of_a in ("cos", "sin"):
        for of_b in ("cos", "sin"):
            product = np.outer(wave[of_a], wave[of_b])
            norm = np.square(product).sum()
            value = (centered * product).sum() / norm if norm > 1e-9 else 0.0
            coefficient[f"{of_a}_{of_b}"] = float(value)
            explained += value**2 * norm
    i = np.arange(n)
    rule = getattr(np, direction)(2 * np.pi * k * (i[:, None] + sign * i) / n)
    along_rule = (centered * rule).sum() ** 2 / np.square(rule).sum()
    return coefficient | {
        "fve": float(explained / variance) if variance > 0 else 0.0,
        "fve_rule": float(along_rule / variance) if variance > 0 else 0.0,
    }
