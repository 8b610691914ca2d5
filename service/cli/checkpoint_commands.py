"""The command of `grok` about a checkpoint that others have published."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from service.settings import Settings


def add(verbs: Any) -> None:
    """Add the command."""
    examining = verbs.add_parser(
        "examine",
        help="key frequencies of a published checkpoint of the token model, and what they do",
    )
    examining.add_argument(
        "file", metavar="FILE", type=Path,
        help=".safetensors or .pth, in the layout of Nanda et al. 2023 or of TransformerLens; "
        "no pickle in it is executed",
    )  # fmt: skip
    examining.add_argument(
        "--seed", type=int,
        help="of the training pairs, drawn as in the paper's code (default: what the file says, "
        "else 0)",
    )  # fmt: skip
    examining.add_argument(
        "--train-fraction", type=float, metavar="R",
        help="share of all pairs that trained (default: what the file says, else 0.3)",
    )  # fmt: skip
    examining.set_defaults(run=run_examine, store=None)


def run_examine(settings: Settings, args: argparse.Namespace) -> int:
    from service.results.published import published_card  # torch: only when it is needed

    print(published_card(args.file, args.seed, args.train_fraction))
    return 0
