"""`grok`: everything that is not starting a sweep."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from grokmodel.config import ConfigError, TrialConfig
from grokmodel.decoder import DecoderError
from grokmodel.symbols import DataError
from service import sweep_figures
from service.manifest import read_manifest
from service.settings import Settings, SettingsError, load_settings
from service.storage import Store, StoreError
from service.summary import phase_table, settings_table
from service.tables import TableError, read_table

USER_ERRORS = (ConfigError, DataError, DecoderError, SettingsError, StoreError, TableError)
"""Errors whose message is meant for the user: shown without a traceback."""


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(load_settings(args.store), args))
    except USER_ERRORS as error:
        print(f"grok: {error}", file=sys.stderr)
        return 2


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
    table = commands.add_parser("table", help="a sweep as a Markdown table, one line a setting")
    table.add_argument("--sweep", required=True)
    table.set_defaults(run=run_table)
    for command in (status, drawing, table):
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
    for key in sweep_figures.draw(store, args.sweep, planes=planes):
        print(store.uri(key))
    return 0


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
