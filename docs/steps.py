"""What the sandwiches of a sweep draw in 1 to 50 steps (docs/steps.png), how much of it is right,
and at which noise level they go by their operands, by their input or by neither (docs/levels.png):
python docs/steps.py runs gate DATA_ROOT"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from grokmodel.core import noise
from grokmodel.core.checkpoint import load_snapshot
from grokmodel.data.load import load_bank
from grokmodel.diffusion import flow
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.evaluate import sample_images
from grokmodel.image.model import denoise, unpatchify
from grokmodel.image.pack import Member, Pack, bank_key, with_results
from service.data.decoders import get_decoder
from service.report import figures
from service.settings import load_settings
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table

STEPS = (1, 2, 4, 10, 50)
DRAWS = 10
SHOWN = 9
FINEST = 50
"""Euler steps of the path along which levels are looked at."""
SHOWN_LEVELS = range(FINEST, 4, -2)
WORDS = {"own": "its own sketch", "true": "a true image", "blank": "the mean of all images"}


class Drawer:
    """A trained sandwich, its bank, and what reads its images."""

    def __init__(self, store: Store, trial: dict[str, Any], root: str) -> None:
        place = (trial["trial_id"], int(trial["steps_run"]), trial["run_id"])
        snapshot = keys.snapshot_key(*place)
        member = load_snapshot(Member, store.get(snapshot))
        self.config, key = member.config, bank_key(member.config)
        self.bank = load_bank(*key, root=root)
        self.pack = Pack([member], {key: self.bank}, torch.device("cpu"))
        self.readers = {"mean": MeanDecoder(self.bank), "CNN": get_decoder(store, key, self.bank)}
        split = self.pack.splits[0]
        self.pairs = {"training": split.train[:64], "strict": split.val[split.strict]}
        self.name = f"input visible below t = {self.config.visible_below:g}"

    def triplets(self, kind: str, draws: int = DRAWS) -> Tensor:
        return torch.as_tensor(np.tile(with_results(self.config, self.pairs[kind]), (draws, 1)))

    def draw(self, kind: str, steps: int) -> Tensor:
        """Samples in units of ink, (Q, S, S)."""
        pairs = self.triplets(kind)[None, :, :2]
        return self.bank.ink(sample_images(self.pack, pairs, noise.EVAL_VAL, steps)[0])

    def right(self, kind: str, steps: int) -> str:
        """Shares that are right, by the nearest class mean and by the CNN."""
        ink, wanted = self.draw(kind, steps), self.triplets(kind)[:, 2]
        shares = [float((d.classify(ink) == wanted).float().mean()) for d in self.readers.values()]
        return " / ".join(f"{share:.2f}" for share in shares)

    @torch.no_grad()
    def by_level(self, kind: str, draws: int) -> dict[str, list[float]]:
        """Share of predictions that the CNN reads right, level by level, by what is to be seen."""
        triplet = self.triplets(kind, draws)[None]
        params, shape = self.pack.params(self.pack.state.average), self.pack.shape
        step = self.pack.state.step
        image = self.pack.draw_images(triplet, noise.EVAL_IMAGE, step)
        operands = self.pack.operands(params, image[..., :2])
        images = self.pack.bank.images.flatten(1)
        Q, X = triplet.shape[1], images.shape[1]
        # streams of their own: the noise on a true image is not that of the path
        start, other = (
            noise.normal(self.pack.seed_M, s, step, Q, X)
            for s in (noise.EVAL_VAL, noise.EVAL_TRAIN)
        )

        def predict(x: Tensor, t: float) -> Tensor:
            tokens, level = x.unflatten(-1, (shape.tokens_per_image, -1)), x.new_full((1, 1), t)
            return denoise(params, shape, operands, tokens, level).flatten(2).float()

        def share(x0_hat: Tensor) -> float:
            tokens = x0_hat.unflatten(-1, (shape.tokens_per_image, -1))
            ink = self.bank.ink(unpatchify(tokens, shape.patch)[0])
            return float((self.readers["CNN"].classify(ink) == triplet[0, :, 2]).float().mean())

        out: dict[str, list[float]] = {name: [] for name in WORDS}
        x = start
        for k in range(FINEST, 0, -1):
            t = k / FINEST
            x0_hat = predict(x, t)
            if k in SHOWN_LEVELS:
                true, blank = (
                    torch.lerp(x0.expand_as(x), other, t)
                    for x0 in (images[image[..., 2]], images.mean(0))
                )
                for name, found in zip(WORDS, (x0_hat, predict(true, t), predict(blank, t))):
                    out[name].append(share(found))
            x = flow.euler_step(x, x0_hat, k)
        return out


def draw_steps(drawers: list[Drawer]) -> Figure:
    figure = Figure(figsize=(0.45 * SHOWN * len(drawers) + 1.5, 0.45 * 7), layout="constrained")
    for part, drawer in zip(figure.subfigures(1, len(drawers), squeeze=False)[0], drawers):
        rows = part.subplots(len(STEPS) + 1, SHOWN)
        means = [drawer.bank.images[c].mean(0) for c in drawer.triplets("strict")[:SHOWN, 2]]
        drawn = {f"{steps}": drawer.draw("strict", steps) for steps in STEPS}
        for row, (label, ink) in zip(rows, {**drawn, "mean": means}.items()):
            row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
            for ax, picture in zip(row, ink):
                ax.imshow(np.clip(picture, 0, 1), cmap="gray_r", vmin=0, vmax=1)
        part.suptitle(drawer.name, fontsize=9)
        for ax in rows.flat:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    return figure


def draw_levels(drawers: list[Drawer], found: list[dict[str, list[float]]]) -> Figure:
    figure, axes = figures.new_figure(3.4 * len(drawers), 2.9, 1, len(drawers))
    levels = [k / FINEST for k in SHOWN_LEVELS]
    for ax, drawer, by_level in zip(axes[0], drawers, found):
        for name, shares in by_level.items():
            style = {"own": "-", "true": "--", "blank": ":"}[name]
            ax.plot(levels, shares, style, label=WORDS[name])
        ax.axvline(drawer.config.visible_below, color="black", lw=0.8, ls=":")
        ax.set(xlim=(1.02, 0.08), ylim=(-0.02, 1.02), xlabel="noise level t")
        ax.set_title(drawer.name, fontsize=9)
        ax.label_outer()
    axes[0, 0].set_ylabel("predictions that are right")
    axes[0, -1].legend(title="in the noisy input:", fontsize=7, title_fontsize=7, frameon=False)
    return figure


def main(folder: str, sweep: str, root: str = "") -> None:
    torch.set_num_threads(1)
    store = Store(load_settings(folder))
    trials = read_table(store, "trials", sweep).query("variant == 'sandwich' and N > 1")
    trials = trials.sort_values("visible_below", ascending=False)
    drawers = [Drawer(store, trial, root) for trial in trials.to_dict("records")]
    print_table(
        ["Euler steps", *(f"{k}, {d.config.visible_below:g}" for d in drawers for k in d.pairs)],
        [[steps, *(d.right(k, steps) for d in drawers for k in d.pairs)] for steps in STEPS],
    )
    found = [drawer.by_level("training", 4) for drawer in drawers]
    print_table(
        ["t", *(f"{WORDS[n]}, {d.config.visible_below:g}" for d in drawers for n in WORDS)],
        [
            [f"{k / FINEST:g}", *(f"{levels[n][i]:.2f}" for levels in found for n in WORDS)]
            for i, k in enumerate(SHOWN_LEVELS)
        ],
    )
    here = Path(__file__).parent
    (here / "steps.png").write_bytes(figures.render(draw_steps(drawers), "png"))
    (here / "levels.png").write_bytes(figures.render(draw_levels(drawers, found), "png"))


def print_table(head: list[str], rows: list[list[Any]]) -> None:
    for cells in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(map(str, cells))} |")
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
