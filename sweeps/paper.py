"""The experiments of the paper (arXiv 2604.17673), each at its full scale and at smaller ones.

An experiment is a list of blocks in the notation of `presets`. Its scales go from the paper's own
down to what a laptop does in minutes; `budget` chooses among them. What a smaller scale changes is
said in its words, which end up in the document.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from grokmodel.image.config import TrialConfig
from service.schedule.plan import expand, unique
from sweeps.recipes import DIVERSE, Block

EMNIST_P = (23, 27, 31, 35)
KUZUSHIJI_P = (39, 43, 47)

_RUN: Block = {"data": ["emnist"], "train_fraction": [0.9], "seed": [0, 1, 2]}
_PAPER: Block = {
    **_RUN, "side": [32], "width": [512], "ffn": [512], "heads": [8], "steps": [9000],
    "cooldown": [3000], "eval_every": [250], "precision": ["bfloat16"],
}  # fmt: skip
"""Without a cool-down a model of this width stays at 0.95 of its training pairs."""
_HALF: Block = {**_PAPER, "width": [256], "ffn": [256], "precision": ["float32"]}
_SMALL: Block = {
    **_RUN, "side": [16], "width": [128], "ffn": [128], "heads": [8], "steps": [7000],
    "eval_every": [250],
}  # fmt: skip
_BRIEF: Block = {**_SMALL, "steps": [5000], "seed": [0, 1]}
_DIVERSE_PAPER: Block = {
    **_PAPER, **DIVERSE, "steps": [60_000], "eval_every": [1000], "late_decay_from": [10_000],
    "cooldown": [20_000], "precision": ["float32"],
}  # fmt: skip
_DIVERSE_HALF: Block = {
    **_HALF, **DIVERSE, "steps": [30_000], "eval_every": [1000], "late_decay_from": [5000],
    "cooldown": [10_000],
}  # fmt: skip
_DIVERSE_SMALL: Block = {
    **_SMALL, **DIVERSE, "train_fraction": [0.8], "width": [256], "ffn": [512],
    "steps": [16_000], "eval_every": [500], "late_decay_from": [2000],
    "cooldown": [6000], "seed": [0, 1], "precision": ["float32"],
}  # fmt: skip
"""In float32: bfloat16 takes 2.5 times as long on a CPU that has no unit for it."""
_DIVERSE_BRIEF: Block = {**_DIVERSE_SMALL, "width": [128], "seed": [0]}
_FEW: Block = {"alphabet": ["distinct"], "ema": [0.995], "variant": ["sandwich"], "N": [4]}
"""Four images per symbol are learned in the paper's regime, given time."""


@dataclass(frozen=True)
class Scale:
    """One size of an experiment."""

    name: str
    """`full` is the paper's."""
    words: str
    """What it is, for the document."""
    blocks: tuple[Block, ...]
    stand_in: bool = False
    """Other images than the paper's."""
    bound: tuple[TrialConfig, ...] = ()
    """Its trials on the images that are here."""

    @property
    def configs(self) -> list[TrialConfig]:
        """All trials, each once; on no images in particular unless they are bound."""
        unbound = (config for block in self.blocks for config in expand(block))
        return list(self.bound) or unique(unbound)


@dataclass(frozen=True)
class Experiment:
    """What the paper did once."""

    name: str
    title: str
    weight: int
    """What it is worth: one of twice the weight may take twice the time."""
    scales: tuple[Scale, ...]
    """The full one first, then ever smaller ones."""

    def sweep(self, scale: Scale) -> str:
        """Name of its sweep."""
        return f"paper-{self.name}-{scale.name}"


_SIZES = (
    ("full", "the paper's: side 32, width 512, FFN 512; 8 heads, 3 seeds", _PAPER),
    ("half", "side 32, width 256, 8 heads, 3 seeds", _HALF),
    ("small", "side 16, width 128, 8 heads, 3 seeds", _SMALL),
    ("brief", "side 16, width 128, 8 heads, 2 seeds, 5,000 steps", _BRIEF),
)
_DIVERSE_SIZES = (
    ("full", "the paper's: side 32, width 512, FFN 512, 3 seeds; 1 head", _DIVERSE_PAPER),
    ("half", "side 32, width 256, 1 head, 3 seeds", _DIVERSE_HALF),
    ("small", "side 16, width 256, 1 head, R = 0.8, 2 seeds", _DIVERSE_SMALL),
    ("brief", "side 16, width 128, 1 head, R = 0.8, 1 seed", _DIVERSE_BRIEF),
)
_NARROW: Block = {"ffn": [64], "sandwich_ffn": [512]}
"""At the smaller scales a wide FFN before attention recognizes, and a narrow one after it cannot
remember much: FFN 512 and 64 (docs/diverse.md)."""


_HEADS = re.compile("[0-9][0-9 and]* heads")


def _scales(
    change: Block,
    *,
    diverse: bool = False,
    widened: bool = False,
    seeds: int = 3,
    easier: float | None = None,
) -> tuple[Scale, ...]:
    """The four scales with some axes changed.

    Args:
        diverse: many images per symbol.
        widened: beside it the same with as many hidden units as a sandwich has in its two FFNs.
        seeds: of the small scale, which has time for more.
        easier: R at all scales but the full one.
    """
    out = []
    for name, words, size in _DIVERSE_SIZES if diverse else _SIZES:
        block = {**size, **change}
        if easier and name != "full":
            block |= {"train_fraction": [easier]}
            words += f", R = {easier}"
        if diverse and name in ("small", "brief"):
            narrow = widened or change.get("variant") == ["sandwich"]
            block |= _NARROW if narrow else {}
            words = f"{words}, FFN {_ffns(block, widened)}"
        if "heads" in change:
            words = _HEADS.sub("1 to 16 heads", words)
        if name == "small" and seeds > 3:
            block |= {"seed": list(range(seeds))}
            words = words.replace("3 seeds", f"{seeds} seeds")
        out.append(Scale(name, words, (block, _widened(block)) if widened else (block,)))
    return tuple(out)


def _longer(scales: tuple[Scale, ...], times: int) -> tuple[Scale, ...]:
    """The same with more steps, evaluated as often."""

    def longer(block: Block) -> Block:
        return block | {name: [times * block[name][0]] for name in ("steps", "eval_every")}

    return tuple(
        dataclasses.replace(scale, words=f"{scale.words}, {times} times as many steps",
                            blocks=tuple(map(longer, scale.blocks)))
        for scale in scales
    )  # fmt: skip


def _ffns(block: Block, widened: bool) -> str:
    (ffn,) = block["ffn"]
    if widened:
        return f"{ffn}, widened {_widened(block)['ffn'][0]}"
    return f"{block['sandwich_ffn'][0]} and {ffn}" if "sandwich_ffn" in block else f"{ffn}"


def _widened(block: Block) -> Block:
    (ffn,) = block["ffn"]
    return {**block, "ffn": [ffn + block.get("sandwich_ffn", [ffn])[0]]}


def _in_place(scale: Scale, data: str, words: str, prefix: str = "") -> Scale:
    """The same on other images than Kuzushiji-49, for whoever lacks it."""
    words = f"{words} instead of Kuzushiji-49, {scale.words}"
    blocks = tuple({**block, "data": [data]} for block in scale.blocks)
    return Scale(f"{prefix}{scale.name}", words, blocks, stand_in=True)


_KUZUSHIJI: Block = {
    "data": ["kuzushiji49"], "alphabet": ["plain"], "P": list(KUZUSHIJI_P), "N": [1]
}  # fmt: skip
_SANDWICH: Block = {"N": [256], "variant": ["sandwich"]}
_KUZUSHIJI_SCALES = _scales(_KUZUSHIJI)
_ON_GLYPHS = tuple(
    _in_place(scale, "glyphs", "built-in glyphs", "glyphs-") for scale in _KUZUSHIJI_SCALES[-2:]
)
_ON_OMNIGLOT = tuple(
    _in_place(scale, "omniglot-katakana", "Omniglot Katakana") for scale in _KUZUSHIJI_SCALES
)
EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("n1", "Grokking with one image per symbol, P = 23", 4,
               _scales({"P": [23], "N": [1]}, seeds=10)),
    Experiment("heads", "Control of ours: 1 to 16 heads, R = 0.8, P = 23", 4,
               _scales({"P": [23], "N": [1], "heads": [1, 2, 4, 8, 16],
                        "train_fraction": [0.8]}, seeds=10)),
    Experiment("unordered", "Control of ours: a pair and its mirror on the same side", 4,
               _scales({"P": list(EMNIST_P), "N": [1], "split": ["unordered"]})),
    Experiment("moduli", "One image per symbol, P = 27, 31, 35", 5,
               _scales({"P": list(EMNIST_P[1:]), "N": [1]})),
    Experiment("kuzushiji", "Kuzushiji-49, one image per symbol, P = 39, 43, 47", 4,
               (*_KUZUSHIJI_SCALES, *_ON_GLYPHS)),
    Experiment("omniglot", "Omniglot Katakana in place of Kuzushiji-49, one image per symbol, "
               "P = 39, 43, 47", 4, _ON_OMNIGLOT),
    Experiment("n4", "Grokking with 4 images per symbol, sandwich, P = 23", 3,
               _longer(_scales({"P": [23], **_FEW}, easier=0.8), 3)),
    Experiment("n256", "Grokking with 256 images per symbol, sandwich, P = 23", 5,
               _scales({"P": [23], **_SANDWICH}, diverse=True)),
    Experiment("variants", "Baseline, and with the sandwich's hidden units, with 256 images", 2,
               _scales({"P": [23], "N": [256]}, diverse=True, widened=True)),
    Experiment("depth2", "Two blocks, one image per symbol, P = 23", 3,
               _scales({"P": [23], "N": [1], "depth": [2]})),
    Experiment("depth2-n256", "Two blocks, 256 images per symbol, P = 23", 2,
               _scales({"P": [23], "N": [256], "depth": [2]}, diverse=True)),
    Experiment("critical", "Critical level with 256 images, sandwich, P = 27, 31, 35", 2,
               _scales({"P": list(EMNIST_P[1:]), **_SANDWICH}, diverse=True)),
    Experiment("critical-kuzushiji", "Critical level on Kuzushiji-49 with 256 images, sandwich", 2,
               _scales({**_KUZUSHIJI, **_SANDWICH, "eval_pairs": [512]}, diverse=True)),
)  # fmt: skip
"""In the order in which they are run."""
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def small_blocks(*names: str) -> list[Block]:
    """Some experiments at their smallest scale on the paper's images."""
    own = [[s for s in BY_NAME[name].scales if not s.stand_in] for name in names]
    return [block for scales in own for block in scales[-1].blocks]


def full_blocks() -> list[Block]:
    """All experiments at the paper's scale and on its images."""
    full = (experiment.scales[0] for experiment in EXPERIMENTS)
    return [block for scale in full if not scale.stand_in for block in scale.blocks]
