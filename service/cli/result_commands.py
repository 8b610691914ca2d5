"""What the commands of `grok` do that make results, draw or send them; each returns an exit code.

They need torch, MLflow and matplotlib, so `cli` loads them only when they are to run.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from grokmodel.image.config import ConfigError, TrialConfig
from service.analysis.costs import costs_table
from service.analysis.pending import Wish, missing, representatives
from service.analysis.registry import LEVELS_T, chosen
from service.cli.store_commands import planned_trials
from service.report import page, sweep_figures, trial_figures
from service.schedule.preview import check_data
from service.settings import Settings
from service.store.store import Store, StoreError
from service.tables.reading import read_table
from service.tracking import outbox


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
        keys.append(page.publish(store, args.sweep))
    outbox.mark(store, args.sweep, [outbox.SWEEP])
    for key in keys:
        print(store.uri(key))
    outbox.publish(settings, args.sweep, warn)
    return 0


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
    from service.schedule.cluster import start_ray  # Ray: only when it is needed
    from service.schedule.driver import analyze_sweep

    store = Store(settings)
    planned_trials(store, args.sweep)
    if args.t and "spectra" not in (args.only or ("spectra",)):
        raise ConfigError("--t", args.t, "left out unless spectra are asked for")
    names = args.only or (("spectra",) if args.t else None)
    wish = Wish(names, levels_t=args.t or LEVELS_T)
    chosen(wish.names)
    if read_table(store, "trials", args.sweep, columns=["trial_id"]).empty:
        raise StoreError(f"no trial of {args.sweep!r} in {store.url} is trained yet; need one")
    todo = missing(store, args.sweep, wish)
    if not todo:
        print(f"nothing is missing in {args.sweep}")
        return 0
    store.preflight()  # rather than that every worker finds out
    check_data([item.config for item in todo if item.names], settings)
    start_ray()
    failures = analyze_sweep(
        args.sweep, settings, wish, lambda line: print(f"grok: {line}", flush=True)
    )
    outbox.publish(settings, args.sweep, warn)
    print(f"report   {store.uri(page.key(args.sweep))}")
    return 1 if failures else 0


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


def run_costs(settings: Settings, args: argparse.Namespace) -> int:
    store = Store(settings)
    planned_trials(store, args.sweep)
    analyses, trials = (read_table(store, name, args.sweep) for name in ("analyses", "trials"))
    print(costs_table(analyses, trials))
    return 0


def warn(line: str) -> None:
    print(f"grok: {line}", file=sys.stderr, flush=True)
