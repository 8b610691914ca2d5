"""What the commands of `grok` do; each returns an exit code."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

from grokmodel.config import ConfigError, TrialConfig
from service import compaction, garbage, outbox, report_page, sweep_figures, trial_figures
from service.analyses import LEVELS_T, chosen
from service.analysis_plan import Wish, missing, representatives
from service.dictionary import dictionary
from service.manifest import read_manifest, sweep_names
from service.settings import Settings
from service.status import status_of
from service.storage import Store, StoreError
from service.summary import costs_table, phase_table, settings_table
from service.tables import read_table


def run_status(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    if args.sweep:
        planned_trials(store, args.sweep)
    found = [
        status_of(store, name) for name in ([args.sweep] if args.sweep else sweep_names(store))
    ]
    if args.json:
        print(json.dumps([status.to_dict() for status in found], indent=1))
    elif not found:
        print(f"no sweep in {store.url} yet; start one: python sweeps/grok_phase.py --preset demo")
    for status in found if not args.json else []:
        print(status.text())
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


def run_compact(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    if args.sweep:
        planned_trials(store, args.sweep)
    tables = [args.table] if args.table else None
    fewer = compaction.compact(store, tables, args.sweep, lambda line: print(line, flush=True))
    if not fewer:
        print(f"nothing to merge; parts of the last {compaction.SETTLED_S:.0f} s stay as they are")
    return 0


def run_gc(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    found = garbage.find(store, args.older_than)
    if not found:
        print(f"nothing in {store.url} can go ({args.older_than:g} h and younger is kept)")
        return 0
    garbage.table(found, print)
    if args.delete:
        garbage.remove(store, found)
    size = garbage.size_words(sum(each.size for each in found))
    print(f"{size} freed" if args.delete else f"{size} would be freed by: grok gc --delete")
    return 0


def run_doctor(settings: Settings | None, args: argparse.Namespace) -> int:
    from service import doctor  # torch and MLflow: only when they are needed

    return doctor.run(args.store, args.json)


def run_costs(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    planned_trials(store, args.sweep)
    analyses, trials = (read_table(store, name, args.sweep) for name in ("analyses", "trials"))
    print(costs_table(analyses, trials))
    return 0


def run_columns(settings: Settings, args: argparse.Namespace) -> int:
    print(dictionary(), end="")
    return 0


def run_table(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    planned_trials(store, args.sweep)
    trials = read_table(store, "trials", args.sweep)
    print(settings_table(trials) if len(trials) else phase_table(trials))
    return 0


def planned_trials(store: Store, sweep: str) -> list[str]:
    """Ids of the trials of a sweep."""
    manifest = read_manifest(store, sweep)
    if manifest is None:
        known = ", ".join(sweep_names(store)) or "none"
        raise StoreError(f"no sweep {sweep!r} in {store.url}; known sweeps: {known}")
    return list(manifest.trials)
