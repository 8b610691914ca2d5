"""`grok`: the commands of the service, and those that know what to sweep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.cli import commands
from service.settings import Settings
from sweeps.paper import BY_NAME


def main(argv: Sequence[str] | None = None) -> int:
    return commands.main(argv, add_reproduce)


def add_reproduce(verbs: Any) -> None:
    """Add `reproduce` to the commands of `grok`."""
    parser = verbs.add_parser(
        "reproduce", help="run the paper's experiments, write REPRODUCTION.md"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--budget", default="2h", metavar="TIME",
        help="for everything on this machine, such as 20m, 2h or 3d (default: %(default)s)",
    )  # fmt: skip
    size.add_argument("--scale", metavar="NAME",
                      help="just this scale, such as brief or full, whatever the time")  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(BY_NAME),
                        help=f"of {', '.join(BY_NAME)} (default: all)")  # fmt: skip
    parser.add_argument("--out", default="REPRODUCTION.md", metavar="FILE",
                        help="figures go to docs/ beside it (default: %(default)s)")  # fmt: skip
    results = parser.add_mutually_exclusive_group()
    results.add_argument(
        "--results",
        metavar="DIR",
        help="bundles that count as done (default: results/ beside FILE)",
    )
    results.add_argument("--no-results", action="store_true", help="count none as done")
    parser.add_argument(
        "--data-root", help="folder of EMNIST / Kuzushiji-49 / Omniglot files (GROK_DATA)"
    )
    parser.add_argument("--store", help="folder or s3://bucket/prefix (default: GROK_STORE)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="print what would be run, and its cost")
    how.add_argument("--no-run", action="store_true", help="write the document from the tables")
    how.add_argument(
        "--export", type=Path, metavar="PLAN.zip",
        help="write what one experiment lacks to a plan file and train nothing, as grok_phase.py "
        "--export does (docs/cluster.md)",
    )  # fmt: skip
    parser.set_defaults(run=_reproduce, tracked=True)


def _reproduce(settings: Settings, args: argparse.Namespace) -> int:
    from sweeps import reproduce  # Ray, torch and MLflow: only when needed

    return reproduce.run(settings, args)


if __name__ == "__main__":
    sys.exit(main())
