"""Sparse autoencoders, several at once: an activation as a sum of a few atoms of a dictionary.

TopK (arXiv 2406.04093): the atoms are free directions. Relaxed archetypal (Fel et al. 2025, arXiv
2502.12892): an atom is a convex combination of the data and a short vector beside it, times one
number for all; so it cannot leave the data. What `overcomplete` 0.3.0 has as TopKSAE and RATopKSAE,
without what that package loads besides (see docs/analyses.md).

Shapes: R autoencoders (seeds), Q data, d features, K atoms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ATOMS, ACTIVE = 64, 8
"""Atoms of a dictionary; of these active at a time, at most."""
RELAXED = 0.1
"""Length of what an archetypal atom may have beside the data, whose mean square length is 1."""
STEPS, LR = 400, 3e-2
"""Steps of Adam, whose learning rate falls linearly to 0."""
TOPK, ARCHETYPAL = "topk", "archetypal"
Parameters = tuple[list[Tensor], Callable[[], Tensor]]
"""What is learned, and the dictionary (R, K, d) that it makes."""


@dataclass(frozen=True)
class Dictionaries:
    """What R autoencoders found."""

    atoms_RKd: Tensor
    codes_RQK: Tensor
    """Not negative, at most ACTIVE of a row above 0."""

    def explained(self, x_Qd: Tensor) -> Tensor:
        """(R,) share of the mean square of the data that is reconstructed."""
        off_RQd = self.codes_RQK @ self.atoms_RKd - x_Qd
        return 1 - off_RQd.square().mean((1, 2)) / x_Qd.square().mean()


def scaled(x_Qd: Tensor) -> Tensor:
    """Data about their mean, of mean square length 1; 0 if they are constant."""
    x_Qd = x_Qd - x_Qd.mean(0)
    return x_Qd / x_Qd.square().sum(1).mean().sqrt().clamp(min=1e-12)


def fit(x_Qd: Tensor, kind: str, seeds: Sequence[int], reorder: bool = False) -> Dictionaries:
    """Autoencoders of `scaled` data, one per seed, each trained on all data in every step.

    Args:
        kind: TOPK or ARCHETYPAL.
        reorder: for an archetypal one, take the data in an order of each seed's own: an archetypal
            dictionary starts as the first K data, by default the same for every seed.
    """
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    Q, d = x_Qd.shape
    bound = d**-0.5  # as of torch.nn.Linear

    def uniform(*shape: int) -> Tensor:
        drawn = [torch.rand(*shape, generator=rng) for rng in rngs]
        return ((2 * torch.stack(drawn) - 1) * bound).to(x_Qd.device).requires_grad_()

    encoder_RdK, bias_R1K = uniform(d, ATOMS), uniform(1, ATOMS)
    order_RQ = torch.stack([torch.randperm(Q, generator=rng) for rng in rngs]).to(x_Qd.device)
    data_RQd = x_Qd[order_RQ] if reorder else x_Qd.expand(len(seeds), Q, d)
    free, dictionary = (_free if kind == TOPK else _archetypal)(uniform, data_RQd)

    def codes() -> Tensor:
        code_RQK = torch.relu(x_Qd @ encoder_RdK + bias_R1K)
        top = code_RQK.topk(ACTIVE, dim=-1)
        return torch.zeros_like(code_RQK).scatter(-1, top.indices, top.values)

    optimizer = torch.optim.Adam([encoder_RdK, bias_R1K, *free], lr=LR)
    with torch.enable_grad():
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = LR * (1 - step / STEPS)
            optimizer.zero_grad()
            off_RQd = codes() @ dictionary() - x_Qd
            off_RQd.square().mean((1, 2)).sum().backward()
            optimizer.step()
    with torch.no_grad():
        return Dictionaries(dictionary().clone(), codes())


def _free(uniform: Callable[..., Tensor], data_RQd: Tensor) -> Parameters:
    """Atoms of length 1, whatever their direction."""
    atoms_RKd = uniform(ATOMS, data_RQd.shape[2])

    def dictionary() -> Tensor:
        with torch.no_grad():
            atoms_RKd.div_(atoms_RKd.norm(dim=-1, keepdim=True) + 1e-8)
        return atoms_RKd

    return [atoms_RKd], dictionary


def _archetypal(uniform: Callable[..., Tensor], data_RQd: Tensor) -> Parameters:
    """Atoms in the data's convex hull or RELAXED from it, times a number."""
    R, Q, d = data_RQd.shape
    weight_RKQ = torch.eye(ATOMS, Q, device=data_RQd.device).repeat(R, 1, 1).requires_grad_()
    beside_RKd = torch.zeros(R, ATOMS, d, device=data_RQd.device, requires_grad=True)
    log_size_R11 = torch.zeros(R, 1, 1, device=data_RQd.device, requires_grad=True)

    def dictionary() -> Tensor:
        with torch.no_grad():
            weight_RKQ.relu_().div_(weight_RKQ.sum(-1, keepdim=True) + 1e-8)
            length = beside_RKd.norm(dim=-1, keepdim=True)
            beside_RKd.mul_((RELAXED / length).clamp(max=1))
        return (weight_RKQ @ data_RQd + beside_RKd) * log_size_R11.exp()

    return [weight_RKQ, beside_RKd, log_size_R11], dictionary
