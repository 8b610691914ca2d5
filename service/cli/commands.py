"""The commands of `grok` that start no sweep; `sweeps/grok.py` adds those that do."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from grokmodel.errors import UserError
from service.cli import (
    bundle_commands,
    checkpoint_commands,
    output,
    store_commands,
    trial_commands,
)
from service.cli.parser import Parser
from service.health.garbage import OLDER_THAN_H
from service.settings import Settings, load_settings
from service.tables.compaction import COMPACTED
from service.tables.summary import PORT

Command = Callable[[Settings, argparse.Namespace], int]
Extend = Callable[[Any], None]
"""Adds commands to the subparsers; each sets `run`, and `tracked` if it needs MLflow."""
NO_HOME = "Could not determine home directory."
"""What Python says of a user without HOME and entry in /etc/passwd; MLflow asks for it when it is
imported."""


def main(argv: Sequence[str] | None = None, extend: Extend | None = None) -> int:
    args = build_parser(extend).parse_args(argv)
    return exit_code("grok", lambda: _run(args))


def exit_code(program: str, work: Callable[[], int], is_answer: bool = True) -> int:
    """What the work returns; 2 and a line for an error of the user's, 130 if it is stopped.

    Args:
        is_answer: what it prints is what it is for. If that cannot be written, the code is 1, or
            141 if whoever reads it, such as `head`, has enough. What else is printed is said of
            results that are in the store: without it work goes on, and ends as it ends.
    """

    def say(loss: OSError) -> None:
        if not (is_answer and isinstance(loss, BrokenPipeError)):
            print(f"{program}: standard output: {loss.strerror}", file=sys.stderr, flush=True)

    with output.lasting(say) as out:
        code = _code(program, work)
    if is_answer and out.loss:
        code = code or (141 if isinstance(out.loss, BrokenPipeError) else 1)
    return code


def _code(program: str, work: Callable[[], int]) -> int:
    try:
        return work()
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: stopped; run the same command again to resume", file=sys.stderr)
        return 130
    except RuntimeError as error:
        if str(error) != NO_HOME:
            raise
        print(f"{program}: need HOME to be set, for a user who is in no list", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    # the doctor says of settings too what is wrong with them
    is_doctor = args.run is store_commands.run_doctor
    tracking = getattr(args, "tracked", False)
    data_root = getattr(args, "data_root", None)
    settings = None if is_doctor else load_settings(args.store, data_root, tracking)
    return int(args.run(settings, args))


def build_parser(extend: Extend | None = None) -> argparse.ArgumentParser:
    parser = Parser(prog="grok", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="command")
    if extend:
        extend(verbs)
    status = verbs.add_parser("status", help="sweeps in the store, their trials and phases")
    status.add_argument("--sweep", help="only this one")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=store_commands.run_status)
    drawing = verbs.add_parser("figures", help="draw figures of a sweep or of trials, for paper")
    drawing.add_argument(
        "names", nargs="*", metavar="FIGURE", help="such as phase, heads, training (default: all)"
    )
    drawing.add_argument("--sweep", required=True)
    drawing.add_argument("--x", help="config column that varies, such as weight_decay")
    drawing.add_argument("--y", help="config column that varies, such as train_fraction")
    drawing.add_argument(
        "--trials", nargs="+", metavar="ID",
        help="figures of these trials instead; `all`, or `typical`: one per phase",
    )  # fmt: skip
    drawing.add_argument(
        "--format", nargs="+", choices=("png", "svg", "pdf"), default=["png"], metavar="KIND",
        help="png, svg, pdf (default: png)",
    )  # fmt: skip
    drawing.add_argument("--out", metavar="DIR", help="(default: figures/SWEEP)")
    drawing.set_defaults(run=_later("run_figures"))
    analyzing = verbs.add_parser("analyze", help="do the analyses that a sweep lacks")
    analyzing.add_argument("--sweep", required=True)
    analyzing.add_argument(
        "--only", type=_names, metavar="A,B", help="names such as spectra,heads (default: all)"
    )
    analyzing.add_argument("--t", type=_levels, metavar="T,T", help="spectra at these noise levels")
    analyzing.set_defaults(run=_later("run_analyze"), tracked=True)
    opening = verbs.add_parser("open", help="open the page of a sweep in a browser")
    opening.add_argument(
        "trial", nargs="?", metavar="TRIAL", help="at this trial: how its id begins"
    )
    opening.add_argument("--sweep", help="(default: the one whose page is newest)")
    opening.set_defaults(run=store_commands.run_open)
    publishing = verbs.add_parser("publish", help="send to MLflow what it lacks of a sweep")
    publishing.add_argument("--sweep", required=True)
    publishing.add_argument(
        "--all", action="store_true", help="everything again, such as to a new tracking server"
    )
    publishing.set_defaults(run=_later("run_publish"), tracked=True)
    costs = verbs.add_parser("costs", help="what each analysis of a sweep took, in Markdown")
    costs.add_argument("--sweep", required=True)
    costs.set_defaults(run=_later("run_costs"))
    columns = verbs.add_parser("columns", help="all tables and columns, in Markdown")
    columns.set_defaults(run=store_commands.run_columns)
    table = verbs.add_parser("table", help="a sweep as a Markdown table, one line per setting")
    table.add_argument("--sweep", required=True)
    table.add_argument(
        "--where", metavar="QUERY",
        help="only trials of which this is true, such as 'weight_decay >= 2 and P == 23': a query "
        "of pandas over the columns of `trials` and lag",
    )  # fmt: skip
    table.add_argument("--sort", metavar="COLUMN", help="one line per trial, in this order")
    table.add_argument("--descending", action="store_true", help="the largest first")
    table.add_argument("--csv", action="store_true", help="all columns of each trial, as CSV")
    table.set_defaults(run=store_commands.run_table)
    doctor = verbs.add_parser("doctor", help="check that everything a sweep needs is there")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(run=store_commands.run_doctor)
    merging = verbs.add_parser("compact", help="merge the many small Parquet files of tables")
    merging.add_argument("--sweep", help="only of this one")
    merging.add_argument("--table", choices=COMPACTED, metavar="TABLE", help="only this one")
    merging.set_defaults(run=store_commands.run_compact)
    pages = verbs.add_parser("ui", help="serve MLflow's pages of a store on this machine")
    pages.add_argument("--port", type=int, default=PORT, help="(default: %(default)s)")
    pages.set_defaults(run=_later("run_ui"), tracked=True)
    cleaning = verbs.add_parser("gc", help="list what nothing refers to, or delete it")
    cleaning.add_argument("--delete", action="store_true", help="delete it (default: list it)")
    cleaning.add_argument(
        "--older-than", type=_hours, default=OLDER_THAN_H, metavar="HOURS",
        help=f"leave alone what is younger (default: {OLDER_THAN_H:g})",
    )  # fmt: skip
    cleaning.set_defaults(run=store_commands.run_gc)
    bundles = bundle_commands.add(verbs)
    of_trials = trial_commands.add(verbs)
    checkpoint_commands.add(verbs)
    every = (status, drawing, analyzing, publishing, costs, columns, table)
    for command in (*every, opening, doctor, merging, cleaning, pages, *bundles, *of_trials):
        command.add_argument("--store", help="folder or s3://bucket/prefix (default: GROK_STORE)")
    for command in (analyzing, doctor, *of_trials):
        command.add_argument(
            "--data-root", help="folder of EMNIST / Kuzushiji-49 / Omniglot files (GROK_DATA)"
        )
    return parser


def _later(name: str) -> Command:
    """A command of `result_commands`, which takes seconds to load."""

    def run(settings: Settings, args: argparse.Namespace) -> int:
        from service.cli import result_commands  # torch, MLflow and matplotlib: only when needed

        return int(getattr(result_commands, name)(settings, args))

    return run


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r}: need names such as spectra,heads")
    return names


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 <= hours < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: need hours, 0 or more")
    return hours


def _levels(text: str) -> tuple[float, ...]:
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(0 <= t <= 1 for t in levels):
        raise argparse.ArgumentTypeError(f"{text!r}: need noise levels from 0 to 1, such as 0,0.5")
    return tuple(sorted(set(levels)))


if __name__ == "__main__":
    sys.exit(main())
