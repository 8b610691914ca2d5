"""Image -> class.

With one image a symbol the nearest template decides. With more, a small CNN does; it is trained on
images that may be in the bank, with noise added, and is accepted only if it names at least 98 % of
the held-out images correctly. A decoder depends on its images alone, so all trials of a bank share
it.

Shapes: B images, S side.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grokmodel.symbols import SymbolBank

DECODER_VERSION = 1
"""Raised when the recipe below changes; part of a decoder's key."""
ACCEPTED = 0.98
"""Least accuracy on held-out images."""
AT_ONCE = 4096
"""Images that the CNN sees at a time: its features are many times their size."""
EPOCHS, BATCH, LR = 12, 256, 2e-3
NOISE = 0.25
"""Standard deviation of the noise added in training, at most, in units of full ink."""


class DecoderError(RuntimeError):
    """No decoder of this bank is good enough. Names the accuracy and the worst confusions."""


class Decoder(Protocol):
    def classify(self, images_BSS: Tensor) -> Tensor:
        """Classes (B,) int64 of images in ink units: [0, 1], give or take."""
        ...


class TemplateDecoder:
    """Class of the nearest of P templates in the Euclidean metric."""

    def __init__(self, bank: SymbolBank) -> None:
        self.templates = torch.from_numpy(bank.images[:, 0]).flatten(1)

    def classify(self, images_BSS: Tensor) -> Tensor:
        templates = self.templates.to(images_BSS.device)
        return torch.cdist(images_BSS.flatten(1), templates).argmin(1)


class CnnDecoder(nn.Module):
    """Three convolutions, two linear maps."""

    def __init__(self, P: int, side: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(48, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * (side // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(128, P),
        )  # fmt: skip

    def forward(self, images_BSS: Tensor) -> Tensor:
        return self.head(self.features(images_BSS[:, None] - 0.2))

    @torch.no_grad()
    def classify(self, images_BSS: Tensor) -> Tensor:
        self.to(images_BSS.device)
        return torch.cat([self(part).argmax(1) for part in images_BSS.split(AT_ONCE)])


def needs_training(N: int) -> bool:
    return N > 1


def decoder_key(bank: SymbolBank) -> str:
    """Content address of the decoder of a bank: 16 hex digits."""
    digest = hashlib.sha256(f"decoder {DECODER_VERSION}".encode())
    for array in (bank.pool, bank.heldout):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def train_decoder(bank: SymbolBank) -> CnnDecoder:
    """Train the CNN of a bank on its pool.

    Raises:
        DecoderError: accuracy on the held-out images stays below ACCEPTED.
    """
    P, K = bank.pool.shape[:2]
    images = torch.from_numpy(bank.pool).flatten(0, 1)
    labels = torch.arange(P).repeat_interleave(K)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CnnDecoder(P, bank.images.shape[-1])
        steps = EPOCHS * -(-len(images) // BATCH)
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
        model.train()
        for _ in range(EPOCHS):
            for index in torch.randperm(len(images)).split(BATCH):
                loss = F.cross_entropy(model(_augmented(images[index])), labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    model.eval()
    _accept(model, bank)
    return model


def _augmented(images_BSS: Tensor) -> Tensor:
    """Random small affine maps and white noise of random strength."""
    B = len(images_BSS)
    matrix = torch.eye(2, 3).repeat(B, 1, 1) + 0.06 * torch.randn(B, 2, 3)
    grid = F.affine_grid(matrix, [B, 1, *images_BSS.shape[1:]], align_corners=False)
    moved = F.grid_sample(images_BSS[:, None], grid, align_corners=False)[:, 0]
    return moved + NOISE * torch.rand(B, 1, 1) * torch.randn_like(moved)


def _accept(model: CnnDecoder, bank: SymbolBank) -> None:
    P, K = bank.heldout.shape[:2]
    if not P * K:
        raise DecoderError("the data have no held-out images to test a decoder on; need some")
    labels = torch.arange(P).repeat_interleave(K)
    found = model.classify(torch.from_numpy(bank.heldout).flatten(0, 1))
    accuracy = float((found == labels).float().mean())
    if accuracy < ACCEPTED:
        wrong = found != labels
        pairs, counts = torch.stack([labels[wrong], found[wrong]]).unique(dim=1, return_counts=True)
        worst = [
            f"{bank.labels[int(pairs[0, i])]} read as {bank.labels[int(pairs[1, i])]}"
            for i in counts.argsort(descending=True)[:3]
        ]
        raise DecoderError(
            f"the decoder of {P} symbols reads {accuracy:.4f} of the held-out images; need "
            f"{ACCEPTED}. Most often {', '.join(worst)}. Use fewer symbols, a larger side or N = 1"
        )
