"""`grok`: everything that is not starting a sweep."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from grokmodel.config import ConfigError, TrialConfig
from grokmodel.decoder import DecoderError
from grokmodel.symbols import DataError
from service import outbox, report_page, sweep_figures, trial_figures
from service.analyses import BY_NAME, LEVELS_T, chosen
from service.analysis_plan import Wish, missing, representatives
from service.dictionary import dictionary
from service.manifest import read_manifest
from service.settings import Settings, SettingsError, load_settings
from service.storage import Store, StoreError
from service.summary import costs_table, phase_table, settings_table
from service.tables import TableError, read_table
from service.tracking import TrackingError

USER_ERRORS = (
    ConfigError,
    DataError,
    DecoderError,
    SettingsError,
    StoreError,
    TableError,
    TrackingError,
)
"""Errors whose message is meant for the user: shown without a traceback."""


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(load_settings(args.store), args))
    except USER_ERRORS as error:
        print(f"grok: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("grok: stopped; run the same command again to go on", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="grok", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    status = commands.add_parser("status", help="sweeps in the store, their trials and phases")
    status.add_argument("--sweep", help="only this one")
    status.set_defaults(run=run_status)
    drawing = commands.add_parser("figures", help="draw the figures of a sweep again")
    drawing.add_argument("--sweep", required=True)
    drawing.add_argument("--x", help="config column, such as weight_decay")
    drawing.add_argument("--y", help="config column, such as train_fraction")
    drawing.set_defaults(run=run_figures)
    drawing.add_argument(
        "--trials", nargs="+", metavar="ID", help="trials to draw (default: one a phase); or all"
    )
    analyzing = commands.add_parser("analyze", help="do the analyses that a sweep lacks")
    analyzing.add_argument("--sweep", required=True)
    analyzing.add_argument(
        "--only", type=_names, metavar="A,B", help=f"of {', '.join(BY_NAME)} (default: all)"
    )
    analyzing.add_argument("--t", type=_levels, metavar="T,T", help="spectra at these noise levels")
    analyzing.set_defaults(run=run_analyze)
    publishing = commands.add_parser("publish", help="send to MLflow what it lacks of a sweep")
    publishing.add_argument("--sweep", required=True)
    publishing.add_argument(
        "--all", action="store_true", help="everything again, such as to a new tracking server"
    )
    publishing.set_defaults(run=run_publish)
    costs = commands.add_parser("costs", help="what each analysis of a sweep took, in Markdown")
    costs.add_argument("--sweep", required=True)
    costs.set_defaults(run=run_costs)
    columns = commands.add_parser("columns", help="all tables and columns, in Markdown")
    columns.set_defaults(run=run_columns)
    table = commands.add_parser("table", help="a sweep as a Markdown table, one line a setting")
    table.add_argument("--sweep", required=True)
    table.set_defaults(run=run_table)
    for command in (status, drawing, analyzing, publishing, costs, columns, table):
        command.add_argument("--store", help="folder or s3://bucket/prefix (default: GROK_STORE)")
    return parser


def run_status(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    names = [args.sweep] if args.sweep else sweep_names(store)
    if not names:
        print(f"no sweep in {store.url} yet; start one: python sweeps/grok_phase.py --preset demo")
        return 0
    for name in names:
        planned = len(planned_trials(store, name))
        trials = read_table(store, "trials", name)
        print(f"{name}: {len(trials)} of {planned} trials done")
        print(phase_table(trials))
    return 0


def run_figures(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    planned_trials(store, args.sweep)
    planes = None
    if args.x or args.y:
        axes = [field.name for field in dataclasses.fields(TrialConfig)]
        for flag, column in (("--x", args.x), ("--y", args.y)):
            if column not in axes:
                raise ConfigError(flag, column, f"one of {', '.join(axes)} (give --x and --y)")
        planes = [(args.x, args.y)]
    if planes and args.trials:
        raise ConfigError("--trials", args.trials, "left out when --x and --y are given")
    keys = [] if planes else trial_keys(store, args.sweep, args.trials)
    keys += sweep_figures.draw(store, args.sweep, planes=planes)
    if not planes:
        keys.append(report_page.publish(store, args.sweep))
    outbox.mark(store, args.sweep, [outbox.SWEEP])
    for key in keys:
        print(store.uri(key))
    outbox.publish(settings, args.sweep, warn)
    return 0


def run_publish(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    planned_trials(store, args.sweep)
    if args.all:
        trials = read_table(store, "trials", args.sweep, columns=["trial_id"])
        outbox.mark(store, args.sweep, [outbox.SWEEP, *trials["trial_id"]])
    if not outbox.publish(settings, args.sweep, warn):
        return 1
    print(f"MLflow has all of {args.sweep}")
    return 0


def warn(line: str) -> None:
    print(f"grok: {line}", file=sys.stderr, flush=True)


def trial_keys(store: Store, sweep: str, ids: Sequence[str] | None) -> list[str]:
    """Draw trials again; returns the keys of their figures."""
    trials = read_table(store, "trials", sweep)
    known = list(trials["trial_id"])
    wanted = representatives(trials) if ids is None else known if ids == ["all"] else ids
    for trial_id in wanted:
        if trial_id not in known:
            raise ConfigError("--trials", trial_id, f"`all` or ids of trials done in {sweep!r}")
    rows = [row for row in trials.to_dict("records") if row["trial_id"] in wanted]
    return [key for row in rows for key in trial_figures.publish(store, sweep, row)]


def run_analyze(settings: Settings, args: argparse.Namespace) -> int:
    from service.runner import analyze_sweep, start_ray  # Ray: only when it is needed

    store = Store(settings)
    planned_trials(store, args.sweep)
    if args.t and "spectra" not in (args.only or ("spectra",)):
        raise ConfigError("--t", args.t, "left out unless spectra are asked for")
    names = args.only or (("spectra",) if args.t else None)
    wish = Wish(names, levels_t=args.t or LEVELS_T)
    chosen(wish.names)
    if read_table(store, "trials", args.sweep, columns=["trial_id"]).empty:
        raise StoreError(f"no trial of {args.sweep!r} in {store.url} is trained yet; need one")
    if not missing(store, args.sweep, wish):
        print(f"nothing is missing in {args.sweep}")
        return 0
    start_ray()
    failures = analyze_sweep(
        args.sweep, settings, wish, lambda line: print(f"grok: {line}", flush=True)
    )
    outbox.publish(settings, args.sweep, warn)
    print(f"report   {store.uri(report_page.key(args.sweep))}")
    return 1 if failures else 0


def run_costs(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    planned_trials(store, args.sweep)
    analyses, trials = (read_table(store, name, args.sweep) for name in ("analyses", "trials"))
    print(costs_table(analyses, trials))
    return 0


def run_columns(settings: Settings, args: argparse.Namespace) -> int:
    print(dictionary(), end="")
    return 0


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r}: need names such as spectra,heads")
    return names


def _levels(text: str) -> tuple[float, ...]:
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(0 <= t <= 1 for t in levels):
        raise argparse.ArgumentTypeError(f"{text!r}: need noise levels from 0 to 1, such as 0,0.5")
    return tuple(sorted(set(levels)))


def run_table(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    planned_trials(store, args.sweep)
    trials = read_table(store, "trials", args.sweep)
    print(settings_table(trials) if len(trials) else phase_table(trials))
    return 0


def sweep_names(store: Store) -> list[str]:
    keys = store.list("sweeps")
    return [key.removeprefix("sweeps/").removesuffix(".json") for key in keys]


def planned_trials(store: Store, sweep: str) -> list[str]:
    """Ids of the trials of a sweep."""
    manifest = read_manifest(store, sweep)
    if manifest is None:
        known = ", ".join(sweep_names(store)) or "none"
        raise StoreError(f"no sweep {sweep!r} in {store.url}; known sweeps: {known}")
    return list(manifest.trials)


if __name__ == "__main__":
    sys.exit(main())
