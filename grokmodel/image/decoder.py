"""Image -> class.

With one image per symbol the nearest one decides. With more, a small CNN does; it is trained on
images that may be in the bank, with noise added, and is accepted only if it names at least 98 % of
the held-out images correctly: a quick one if that suffices, as it does for glyphs, else a larger
one. But a sample of one step is no image of the bank: it is the expected one, a blend of those that
may be. It is read by the nearest class mean. A decoder depends on its images alone, so all trials
of a bank share it.

Shapes: B images, S side.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grokmodel.core import checksummed
from grokmodel.data.bank import SymbolBank
from grokmodel.errors import UserError

DECODER_VERSION = 1
"""Raised when the recipe below changes; part of a decoder's key."""
ACCEPTED = 0.98
"""Least accuracy on held-out images."""
AT_ONCE = 1024
"""Images that the CNN sees at a time: its features are many times their size."""
BATCH = 256
NOISE = 0.25
"""Standard deviation of the noise added in training, at most, in units of full ink."""


@dataclass(frozen=True)
class Recipe:
    """A size of CNN and how it is trained."""

    channels: tuple[int, ...]
    """Of its convolutions; 0 halves the resolution."""
    epochs: int
    lr: float
    affine: float
    """Standard deviation of the entries of random affine maps, added to the identity."""
    elastic: float
    """Standard deviation of a smooth random displacement, in units of half a side."""
    smoothing: float
    """Share of the target that goes to all classes alike."""


RECIPES = {
    "quick": Recipe((24, 0, 48, 0, 64), 12, 2e-3, 0.06, 0.0, 0.0),
    "careful": Recipe((32, 32, 0, 64, 64, 0, 128), 40, 3e-3, 0.10, 0.06, 0.05),
}
"""In the order in which they are tried. On 23 classes of EMNIST, 300 images each, the first reads
0.966 of the held-out images and takes 20 s on a core, the second 0.98 and two to three minutes."""


class DecoderError(UserError, RuntimeError):
    """No decoder of this bank is good enough. Names the accuracy and the worst confusions."""


class Decoder(Protocol):
    def classify(self, images_BSS: Tensor) -> Tensor:
        """Classes (B,) int64 of images in ink units: [0, 1], give or take."""
        ...


class MeanDecoder:
    """Class of the nearest of P class means in the Euclidean metric; at N = 1 of the images."""

    def __init__(self, bank: SymbolBank) -> None:
        self.means = torch.from_numpy(bank.images.mean(1)).flatten(1)

    def classify(self, images_BSS: Tensor) -> Tensor:
        means = self.means.to(images_BSS.device)
        return torch.cdist(images_BSS.flatten(1), means).argmin(1)


class CnnDecoder(nn.Module):
    """Three to five convolutions, two linear maps."""

    def __init__(self, P: int, side: int, recipe: str = "quick") -> None:
        super().__init__()
        self.recipe = recipe
        layers: list[nn.Module] = []
        before, S = 1, side
        for channels in RECIPES[recipe].channels:
            if channels:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.BatchNorm2d(channels)]
                layers += [nn.ReLU()]
                before = channels
            else:
                layers += [nn.MaxPool2d(2)]
                S //= 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(before * S**2, 128), nn.ReLU(), nn.Dropout(0.3),
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
    """The first CNN, of those of RECIPES trained on the bank's pool, that is good enough.

    Raises:
        DecoderError: accuracy on the held-out images stays below ACCEPTED.
    """
    *others, last = RECIPES
    for recipe in others:
        model = fit_decoder(bank, recipe)
        try:
            _accept(model, bank)
        except DecoderError:
            continue
        return model
    model = fit_decoder(bank, last)
    _accept(model, bank)
    return model


def dump_decoder(model: CnnDecoder) -> bytes:
    """Inverse of `load_decoder`."""
    return checksummed.dump(model.state_dict(), {"recipe": model.recipe})


def load_decoder(data: bytes, P: int, side: int) -> CnnDecoder:
    """The CNN of a file.

    Raises:
        DamagedError: it is not one of P classes at this side, or has changed since it was written.
    """
    found = checksummed.load(data)
    recipe = str(checksummed.header(data).get("recipe"))
    if recipe not in RECIPES:
        raise checksummed.DamagedError(f"recipe {recipe!r}; known are {', '.join(RECIPES)}")
    model = CnnDecoder(P, side, recipe)
    needed = model.state_dict()
    kinds = [{name: (t.shape, t.dtype) for name, t in x.items()} for x in (found, needed)]
    if kinds[0] != kinds[1]:
        odd = sorted(name for name in found | needed if kinds[0].get(name) != kinds[1].get(name))
        raise checksummed.DamagedError(
            f"{', '.join(odd[:3])} are missing, unknown or of another shape"
        )
    if not all(bool(tensor.isfinite().all()) for tensor in found.values()):
        raise checksummed.DamagedError("it has weights that are not finite")
    model.load_state_dict(found)
    return model.eval()


def fit_decoder(bank: SymbolBank, name: str) -> CnnDecoder:
    """Train a CNN on a bank's pool by one of RECIPES, whatever comes of it."""
    recipe = RECIPES[name]
    P, K = bank.pool.shape[:2]
    images = torch.from_numpy(bank.pool).flatten(0, 1)
    labels = torch.arange(P).repeat_interleave(K)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CnnDecoder(P, bank.images.shape[-1], name)
        steps = recipe.epochs * -(-len(images) // BATCH)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
        model.train()
        for _ in range(recipe.epochs):
            for index in torch.randperm(len(images)).split(BATCH):
                guess = model(_augmented(images[index], recipe))
                loss = F.cross_entropy(guess, labels[index], label_smoothing=recipe.smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return model.eval()


def _augmented(images_BSS: Tensor, recipe: Recipe) -> Tensor:
    """Random small affine maps, elastic displacements, and white noise of random strength."""
    B, S = images_BSS.shape[:2]
    matrix = torch.eye(2, 3).repeat(B, 1, 1) + recipe.affine * torch.randn(B, 2, 3)
    grid = F.affine_grid(matrix, [B, 1, S, S], align_corners=False)
    if recipe.elastic:
        coarse = recipe.elastic * torch.randn(B, 2, 4, 4)
        smooth = F.interpolate(coarse, size=(S, S), mode="bicubic", align_corners=True)
        grid = grid + smooth.permute(0, 2, 3, 1)
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
            f"{ACCEPTED}. Most often {', '.join(worst)}. Use alphabet = 'distinct' (EMNIST), fewer "
            "symbols, a larger side or N = 1"
        )
