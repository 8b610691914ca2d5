"""Presets: named starting points that flags override. A preset is a list of blocks; a block maps
config fields to lists of values and stands for their grid."""

from __future__ import annotations

from grokmodel.core.config import FIRST_FAMILY, Config
from grokmodel.image.config import TrialConfig
from service.schedule.plan import expand, unique
from sweeps.paper import full_blocks, small_blocks
from sweeps.recipes import FAST, FORERUNNER, Block

SMOKE: list[Block] = [{
    "P": [11], "train_fraction": [0.6], "side": [8], "width": [32], "heads": [4], "ffn": [32],
    "batch": [64], "t_levels": [16], "steps": [200], "eval_every": [50], "weight_decay": [0.0, 1.0],
    "seed": [0, 1],
}]  # fmt: skip
"""Four tiny trials: does everything work?"""

DEMO: list[Block] = [{
    "data": ["glyphs"], "P": [23], "heads": [4, 8], "train_fraction": [0.6, 0.8], "seed": [0, 1],
    "batch": [256], "steps": [8000], "cooldown": [2000],
}]  # fmt: skip
"""The paper's phenomenon on built-in glyphs: heads against training fraction, 8 trials. At a
constant learning rate a model that has the rule still misses a pair now and then
(docs/findings.md)."""

_FAST: Block = {**FAST, "data": ["glyphs"], "P": [31]}
FAST_GRID: list[Block] = [{
    **_FAST, "train_fraction": [0.5, 0.6, 0.8], "weight_decay": [0.0, 2.0, 3.0, 30.0],
    "seed": [0, 1], "steps": [2750], "batch": [384], "t_levels": [48], "eval_every": [125],
}]  # fmt: skip
"""Our fast recipe on glyphs, over weight decay and training fraction: 24 trials."""

FORERUNNER_GRID: list[Block] = [{
    **FORERUNNER, "data": ["emnist"], "P": [10, 23], "train_fraction": [0.9], "side": [32],
    "width": [512], "ffn": [512], "steps": [30_000], "eval_every": [500], "seed": [0, 1, 2],
}]  # fmt: skip
"""The paper's public forerunner, on EMNIST (docs/recipe.md)."""

PAPER: list[Block] = full_blocks()
"""Every experiment of the paper at its own scale; `grok reproduce` runs what a budget allows."""

_EMNIST: Block = {
    **FAST, "data": ["emnist"], "P": [31], "train_fraction": [0.8], "weight_decay": [3.0],
    "seed": [0, 1, 2], "steps": [4000],
}  # fmt: skip
_CHANGE: Block = {**_EMNIST, "seed": [0, 1], "steps": [3000]}
RECIPE: list[Block] = [
    {**_EMNIST, "weight_decay": [1.0, 3.0]},
    {**_EMNIST, "P": [23]},
    {**_EMNIST, "side": [32]},
    {**_CHANGE, "t_mean": [2.0], "t_std": [1.0]},
    {**_CHANGE, "t_distribution": ["uniform"]},
    {**_CHANGE, "init_scale": [1.0]},
    {**_CHANGE, "input_gate": [False]},
    {**_CHANGE, "norm": ["pre", "none"]},
    {**_CHANGE, "ffn": [512]},
    {**_CHANGE, "weight_decay": [1.0, 10.0]},
]
"""The fast recipe on EMNIST, and one change at a time: the table of docs/recipe.md."""

_SHARED: Block = {
    "data": ["glyphs"], "P": [23], "train_fraction": [0.8], "seed": [0, 1], "batch": [256],
}  # fmt: skip
_FROM_PAPER: Block = {**_SHARED, "steps": [8000], "cooldown": [2000]}
_FROM_FAST: Block = {**_SHARED, **FAST, "steps": [4000], "cooldown": [1000]}
DIFFERENCES = (
    ("heads",), ("norm",), ("init_scale",), ("input_gate",), ("loss",),
    ("t_distribution", "t_mean", "t_std"),
)  # fmt: skip
_DEFAULTS = TrialConfig().to_dict()
_HEADS, *_, _LEVELS = DIFFERENCES
REGIMES: list[Block] = [
    _FROM_PAPER,
    *({**_FROM_PAPER, **{name: FAST[name] for name in change}} for change in DIFFERENCES),
    {**_FROM_PAPER, "t_distribution": ["logit-normal"], "t_mean": [0.0, 1.0, 2.0, 3.0]},
    _FROM_FAST,
    *({**_FROM_FAST, **{name: [_DEFAULTS[name]] for name in change}} for change in DIFFERENCES),
    {**_FROM_PAPER, **FAST, **{name: [_DEFAULTS[name]] for name in (*_HEADS, *_LEVELS)}},
]
"""The paper's regime and the fast recipe, and both with one setting of the other at a time: which
turns a sparse spectrum into a dense one? Between the two, noise levels ever nearer to 1, and the
fast recipe with heads and noise levels of the paper's regime (docs/findings.md)."""

VARIANTS: list[Block] = small_blocks("n256", "variants")
"""256 images per symbol: sandwich, baseline and widened baseline (docs/diverse.md)."""
COUNTS: list[Block] = [
    {**block, **change, "visible_below": [1.0]}
    for block in small_blocks("n256")
    for change in ({"N": [256, 64, 16]}, {"N": [4], "cooldown": [0]})
]
"""The same sandwich with 4 to 256 images per symbol, its input never hidden (docs/diverse.md). With
four it settles long before a cool-down, and without one a trial that has settled stops."""

_IMAGES: Block = {
    **_FAST, "train_fraction": [0.8], "variant": ["sandwich"],
    "weight_decay": [1.0], "steps": [8000], "eval_every": [500], "eval_pairs": [256],
    "sample_steps": [1], "decoder_1step": ["decoder"], "ema": [0.995],
}  # fmt: skip
IMAGES: list[Block] = [
    {**_IMAGES, "N": [4], "weight_decay": [0.5, 1.0], "steps": [24_000]},
    {**_IMAGES, "N": [1, 2, 4, 8], "weight_decay": [1.0, 2.0]},
    {**_IMAGES, "N": [1, 2, 4, 8], "variant": ["baseline"]},
]
"""How much later the rule comes with every doubling of the images per symbol (docs/diverse.md)."""

_MANY: Block = {
    **_IMAGES, "N": [256], "ffn": [64], "sandwich_ffn": [512], "sandwich_skip": [False],
    "batch": [2048], "decoder_1step": ["mean"], "ema": [0.998], "precision": ["bfloat16"],
    "late_decay_from": [4000], "late_weight_decay": [3.0], "steps": [18_000], "cooldown": [6000],
}  # fmt: skip
_CONSTANT: Block = {**_MANY, "late_decay_from": [0], "cooldown": [0]}
MANY: list[Block] = [
    _MANY,
    {**_CONSTANT, "variant": ["baseline"], "ffn": [64, 576], "steps": [6000]},
    {**_CONSTANT, "N": [1], "heads": [1, 4], "batch": [512], "steps": [4000]},
]
"""The rule with 256 images: a wide FFN recognizes, one head and a narrow FFN add. Beside it the
baseline, as it is and with as many hidden units, and what heads do at N = 1 (docs/diverse.md)."""

GLYPH_COUNTS: list[Block] = [{**_MANY, "N": [64, 16, 4]}]
"""The sandwich of MANY with fewer images per symbol (docs/diverse.md)."""

_WIDE: Block = {**DEMO[0], "heads": [8], "train_fraction": [0.8], "cooldown": [0]}
WIDTHS: list[Block] = [{**_WIDE, "width": [width], "ffn": [width]} for width in (64, 96, 128)]
"""The demo's shape at three widths: does importance transfer between them (docs/findings.md)?"""

TOKENS: list[Block] = [{
    "family": ["tokens"], "P": [53], "train_fraction": [0.3, 0.4, 0.5, 0.6], "seed": [0, 1],
    "steps": [10_000],
}]  # fmt: skip
"""The one-layer transformer on tokens, over the training fraction (docs/families.md)."""

PARITY: list[Block] = [{
    "family": ["parity"], "gain": [0.1, 1.0], "train_fraction": [0.5, 1.0], "seed": [0, 1],
}]  # fmt: skip
"""The streaming-parity network, over initial weights and data (docs/families.md)."""

_RULES: Block = {"family": ["rules"], "seed": [0, 1]}
_PIXELS: Block = {**_RULES, "model": ["autoregressive"]}
_FLOW: Block = {
    **_RULES, "model": ["flow"], "depth": [2], "lr": [6e-3], "steps": [4000], "eval_every": [100],
}  # fmt: skip
RULES: list[Block] = [
    {**_PIXELS, "images": [32, 64, 128, 256]},
    {**_PIXELS, "images": [128], "group_size": [2, 4, 6]},
    {**_PIXELS, "images": [512], "group_size": [4], "steps": [4000]},
    {**_PIXELS, "images": [256], "width": [16], "ffn": [64]},
    {**_PIXELS, "images": [256], "width": [64], "ffn": [256]},
    {**_FLOW, "images": [8, 16, 32]},
    {**_FLOW, "images": [16], "group_size": [2, 4, 6]},
    {**_FLOW, "images": [16], "width": [16], "ffn": [64]},
    {**_FLOW, "images": [16], "width": [64], "ffn": [256]},
]
"""Rule-valid images: both clocks over training images, group size and width, of a model that draws
pixel by pixel and of a flow (docs/families.md)."""

PRESETS: dict[str, list[Block]] = {
    "smoke": SMOKE, "demo": DEMO, "fast": FAST_GRID, "paper": PAPER,
    "forerunner": FORERUNNER_GRID, "recipe": RECIPE, "regimes": REGIMES, "variants": VARIANTS,
    "counts": COUNTS, "images": IMAGES, "many": MANY, "glyph-counts": GLYPH_COUNTS,
    "widths": WIDTHS, "tokens": TOKENS, "parity": PARITY, "rules": RULES,
}  # fmt: skip
PRESET_ANALYSES = {"demo": "quick", "fast": "quick", "smoke": "quick"}
"""Analyses that follow the training of a preset, where they are not `all`."""


def family_of_preset(name: str | None) -> str:
    """Of its trials."""
    block = PRESETS[name][0] if name else {}
    return str(block.get("family", [FIRST_FAMILY])[0])


def preset_configs(name: str | None, overrides: Block) -> list[Config]:
    """Configs of a preset with some axes replaced; without a preset, the grid of the overrides."""
    blocks = PRESETS[name] if name else [{}]
    return unique(config for block in blocks for config in expand({**block, **overrides}))
