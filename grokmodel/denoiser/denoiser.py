"""How much of a learned denoiser does the Gaussian one explain, and can it take the first steps?

Wang and Vastola (arXiv 2412.09726) find that at high noise the learned score is nearly that of the
Gaussian of the data, so that the first steps of sampling need no network. Theirs is one
distribution of images. Here the model is asked for the image of a ∘ b: of all results there is a
Gaussian, of the one that is asked for, with one image per symbol, a single point. So what the
Gaussian explains is set against what a denoiser can explain that knows more: the images but not the
operands, the right class, and the best linear map from the noisy image without and with the
operands.

Shapes: M members, Q pairs, D draws of noise, S samples, X pixels, F features of a regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from grokmodel.denoiser.gaussian import Gaussian, denoise_by_images, explained
from grokmodel.diffusion import flow
from grokmodel.image.evaluate import Decoders
from grokmodel.probing.probe import Probe, shares

LEVELS_T = tuple(k / 10 for k in range(1, 11))
FIT, TEST = 2, 1
"""Draws of noise that linear maps are fitted to, and others on which all is measured."""
STEPS, EVERY = 20, 2
"""Euler steps of a sample, of which 0, EVERY, 2 EVERY, ... are skipped."""
GAUSSIAN, MEAN, FEWER = "gaussian", "mean", "fewer"
"""What stands for the first steps: the Gaussian's flow; that of its mean alone, without covariance;
nothing, as many steps less from noise."""


@dataclass(frozen=True)
class DenoiserRow:
    """One snapshot at one noise level; meanings in the table `denoiser`."""

    t: float
    gaussian: float
    gaussian_velocity: float
    gaussian_score: float
    unconditional: float
    right_class: float
    linear: float
    linear_operands: float
    truth_gaussian: float


@dataclass(frozen=True)
class SkipRow:
    """Samples whose first steps the network did not take; meanings in the table `skips`."""

    start: str
    skipped: int
    t: float
    train_acc: float
    val_acc: float
    val_acc_strict: float


@dataclass(frozen=True)
class Known:
    """What is known of a member's images without its weights."""

    images_IX: Tensor
    weight_I: Tensor
    """How often an image is the result of a training pair, up to a factor."""
    results: Gaussian
    """All results of training pairs."""
    by_class: list[Gaussian]

    @classmethod
    def of(cls, probe: Probe, i: int) -> Known:
        images_IX = probe.pack.images_of(i).flatten(1)
        of_class = images_IX.unflatten(0, (probe.P, -1))
        train_Q = torch.from_numpy(probe.pack.splits[i].train @ (probe.P, 1)).to(probe.device)
        count_P = torch.bincount(probe.c_MQ[i, train_Q], minlength=probe.P).float()
        weight_I = count_P.repeat_interleave(of_class.shape[1])
        equal = torch.ones_like(weight_I[: of_class.shape[1]])
        return cls(
            images_IX,
            weight_I,
            Gaussian.of(images_IX, weight_I),
            [Gaussian.of(images, equal) for images in of_class],
        )

    def denoise_class(self, x_SX: Tensor, t: float, c_S: Tensor) -> Tensor:
        """By the Gaussian of the right class: with one image per symbol that is the image."""
        out = torch.empty_like(x_SX)
        for c, gaussian in enumerate(self.by_class):
            out[c_S == c] = gaussian.denoise(x_SX[c_S == c], t)
        return out


# --- what explains the network --------------------------------------------------------------------


@torch.no_grad()
def denoiser(probe: Probe) -> list[list[DenoiserRow]]:
    """Rows of every member (snapshot) at every noise level, shown the right result noised.

    Args:
        probe: over the whole grid of pairs, of which those count that have a result.
    """
    known = {m.config.trial_id: Known.of(probe, i) for i, m in enumerate(probe.members)}
    rows: list[list[DenoiserRow]] = [[] for _ in probe.members]
    for t in LEVELS_T:
        x_DMQX = torch.stack([probe.noised(t, draw) for draw in range(FIT + TEST)])
        hat_DMQX = torch.stack(
            [probe.predict(x_MQX, t, probe.operands(draw)) for draw, x_MQX in enumerate(x_DMQX)]
        )
        truth_DMQX = torch.stack([probe.targets(draw) for draw in range(FIT, FIT + TEST)])
        for i, member in enumerate(probe.members):
            defined = probe.defined_MQ[i]
            x, hat, truth = (v[:, i, defined] for v in (x_DMQX, hat_DMQX, truth_DMQX))
            pairs_Q3 = torch.cat([probe.pair_MQ2[i], probe.c_MQ[i, :, None]], dim=1)[defined]
            mine = known[member.config.trial_id]
            rows[i].append(_row(mine, t, x, hat, truth, pairs_Q3, probe.P))
    return rows


def _row(
    known: Known,
    t: float,
    x_DQX: Tensor,
    hat_DQX: Tensor,
    truth_DQX: Tensor,
    pairs_Q3: Tensor,
    P: int,
) -> DenoiserRow:
    x_SX, hat_SX = x_DQX[FIT:].flatten(0, 1), hat_DQX[FIT:].flatten(0, 1)
    gaussian_SX = known.results.denoise(x_SX, t)
    by_images = denoise_by_images(x_SX, t, known.images_IX, known.weight_I)
    by_class = known.denoise_class(x_SX, t, pairs_Q3[:, 2].repeat(TEST))
    along_DQK = (x_DQX - (1 - t) * known.results.mean_X) @ known.results.axes_KX.T
    one = torch.ones_like(along_DQK[..., :1])
    seen = torch.cat([one, along_DQK], dim=-1)
    operand = torch.nn.functional.one_hot(pairs_Q3[:, :2], P).flatten(1).to(seen)
    both = torch.cat([seen, operand.expand(len(seen), -1, -1)], dim=-1)
    return DenoiserRow(
        t=t,
        gaussian=explained(hat_SX, gaussian_SX),
        # the velocity is (x - x0_hat) / t, the score ((1 - t) x0_hat - x) / t^2
        gaussian_velocity=explained(x_SX - hat_SX, x_SX - gaussian_SX),
        gaussian_score=explained(x_SX - (1 - t) * hat_SX, x_SX - (1 - t) * gaussian_SX),
        unconditional=explained(hat_SX, by_images),
        right_class=explained(hat_SX, by_class),
        linear=explained(hat_SX, _regression(seen, hat_DQX)),
        linear_operands=explained(hat_SX, _regression(both, hat_DQX)),
        truth_gaussian=explained(truth_DQX.flatten(0, 1), gaussian_SX),
    )


def _regression(features_DQF: Tensor, hat_DQX: Tensor) -> Tensor:
    """What the best linear map of the features, fitted to some draws, makes of the others."""
    fit_SF = features_DQF[:FIT].flatten(0, 1).double()
    hat_SX = hat_DQX[:FIT].flatten(0, 1).double()
    # by a pseudoinverse: operands one-hot have a column too many each
    map_FX = torch.linalg.pinv(fit_SF.T @ fit_SF, hermitian=True) @ (fit_SF.T @ hat_SX)
    return (features_DQF[FIT:].flatten(0, 1).double() @ map_FX).to(hat_DQX)


# --- what it saves --------------------------------------------------------------------------------


@torch.no_grad()
def skips(probe: Probe, decoders: Decoders) -> list[list[SkipRow]]:
    """Accuracies of every member by what stands for how many of the first steps."""
    skipped = range(0, STEPS, EVERY)
    known = [Known.of(probe, i) for i in range(len(probe))]
    starts: dict[str, Callable[[Gaussian, Tensor, float], Tensor]] = {
        GAUSSIAN: Gaussian.flow,
        MEAN: lambda g, noise, t: torch.lerp(noise, g.mean_X.expand_as(noise), 1 - t),
    }
    rows: list[list[SkipRow]] = [[] for _ in probe.members]

    def add(start: str, skip: int, end_MQX: Tensor) -> None:
        right_MQ = probe.right(end_MQX, decoders, STEPS - skip)
        for mine, acc in zip(rows, shares(right_MQ, probe), strict=True):
            mine.append(SkipRow(start, skip, 1 - skip / STEPS, acc.train, acc.val, acc.strict))

    for start, begin in starts.items():
        for skip, end in zip(skipped, _descend(probe, known, begin, skipped), strict=True):
            add(start, skip, end)
    for skip in skipped:
        add(FEWER, skip, probe.sample(probe.noise(), STEPS - skip, probe.operands()))
    return rows


def _descend(
    probe: Probe,
    known: list[Known],
    begin: Callable[[Gaussian, Tensor, float], Tensor],
    skipped: range,
) -> list[Tensor]:
    """Ends (M, Q, X) of samples that join after each number of skipped steps."""
    noise_MQX, of_pairs = probe.noise(), probe.operands()
    x, operands = noise_MQX[:, :0], of_pairs[:, :0]
    for level in range(STEPS, 0, -1):
        t = level / STEPS
        if STEPS - level in skipped:
            mine = [begin(k.results, n, t) for k, n in zip(known, noise_MQX, strict=True)]
            x = torch.cat([x, torch.stack(mine)], dim=1)
            operands = torch.cat([operands, of_pairs], dim=1)
        x = flow.euler_step(x, probe.predict(x, t, operands), level)
    return list(x.unflatten(1, (len(skipped), -1)).unbind(1))
