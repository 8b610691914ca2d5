"""What the commands of `grok` do that make results, draw or send them; each returns an exit code.

They need torch, MLflow and matplotlib, so `cli` loads them only when they are to run.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from grokmodel.catalog.analyses import chosen
from grokmodel.catalog.runs import LEVELS_T
from grokmodel.errors import ConfigError
from service import page
from service.analysis.costs import costs_table
from service.analysis.pending import Wish, missing
from service.cli.store_commands import store_with
from service.report import figures, sweep_figures
from service.report.trial_figures import TRIAL_FIGURES
from service.report.trial_figures import draw as draw_trial
from service.schedule.preview import check_data
from service.settings import Settings
from service.store import marks
from service.store.heartbeat import heartbeats
from service.store.manifest import read_manifest, sweep_names
from service.store.store import Store, StoreError
from service.tables.reading import read_table
from service.tables.selection import by_prefix
from service.tables.summary import PORT, ui_address
from service.tables.typical import representatives
from service.tracking import outbox
from service.tracking.artifacts import correct, goes_along, misplaced
from service.tracking.client import Tracking


def run_figures(settings: Settings, args: argparse.Namespace) -> int:
    """Figures for paper, into a folder."""
    store, trials = store_with(args.sweep, settings), args.trials
    planes = _planes(args)
    known = TRIAL_FIGURES if trials else sweep_figures.NAMES
    for name in args.names:
        if name not in known:
            other = "a figure of trials: add --trials" if name in TRIAL_FIGURES else ""
            raise ConfigError("figure", name, other or f"one of {', '.join(known)}")
    names = args.names or (sweep_figures.OF_PLANES if planes else tuple(known))
    if trials:
        if planes:
            raise ConfigError("--trials", trials, "left out when --x and --y are given")
        drawn = _of_trials(store, args.sweep, trials, names)
    else:
        drawn = sweep_figures.draw(store, args.sweep, names, planes)
    out = Path(args.out or f"figures/{args.sweep}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in drawn.items():
            for kind in args.format:
                path = out / f"{name}.{kind}"
                path.write_bytes(figures.render(figure, kind))
                print(path)
    except OSError as error:
        raise ConfigError("--out", str(out), f"a folder to write to ({error.strerror})") from error
    if not drawn:
        warn(f"nothing to draw {', '.join(names)} from: the rows are not there yet")
    return 0 if drawn else 1


def _planes(args: argparse.Namespace) -> list[tuple[str, str]] | None:
    if not (args.x or args.y):
        return None
    for flag, axis in (("--x", args.x), ("--y", args.y)):
        if axis is None:
            raise ConfigError(flag, axis, "given too: a plane has two axes")
    return [(args.x, args.y)]


def _of_trials(
    store: Store, sweep: str, wanted: Sequence[str], names: Sequence[str]
) -> dict[str, figures.Figure]:
    """Figures of trials, named by id prefixes; of all, or of a typical one per phase."""
    trials = read_table(store, "trials", sweep)
    if wanted == ["all"]:
        ids = list(trials["trial_id"])
    elif wanted == ["typical"]:
        ids = representatives(trials)
    else:
        ids = [by_prefix(trials, text, f"sweep {sweep!r}")["trial_id"] for text in wanted]
    rows = [row for row in trials.to_dict("records") if row["trial_id"] in ids]
    return {
        f"{row['trial_id'][:8]}-{name}": figure
        for row in rows
        for name, figure in draw_trial(store, sweep, row, names).items()
    }


def run_analyze(settings: Settings, args: argparse.Namespace) -> int:
    from service.schedule.driver import analyze_sweep  # Ray: only when it is needed

    store = store_with(args.sweep, settings)
    if args.t and "spectra" not in (args.only or ("spectra",)):
        raise ConfigError("--t", args.t, "left out unless spectra are asked for")
    names = args.only or (("spectra",) if args.t else None)
    wish = Wish(names, levels_t=args.t or LEVELS_T)
    chosen(wish.names)
    if read_table(store, "trials", args.sweep, columns=["trial_id"]).empty:
        raise StoreError(f"no trial of {args.sweep!r} in {store.url} is trained yet; need one")
    found = missing(store, args.sweep, wish)
    if not found.todo:
        if found.lost:
            warn(found.lost_in_words)
        else:
            print(f"nothing is missing in {args.sweep}")
        return 1 if found.lost else 0
    store.preflight()  # rather than that every worker finds out
    check_data([item.config for item in found.todo], settings)
    failures = analyze_sweep(
        args.sweep, settings, wish, lambda line: print(f"grok: {line}", flush=True)
    )
    print(f"page     {store.uri(page.key(args.sweep))}")
    return 1 if failures else 0


def run_publish(settings: Settings, args: argparse.Namespace) -> int:
    store = store_with(args.sweep, settings)
    if args.all:
        trials = read_table(store, "trials", args.sweep, columns=["trial_id"])
        marks.mark(store, args.sweep, [marks.SWEEP, *trials["trial_id"]])
    if not outbox.publish(settings, args.sweep, warn):
        return 1
    print(f"MLflow has all of {args.sweep}")
    return 0


def run_ui(settings: Settings, args: argparse.Namespace) -> int:
    """MLflow's pages, until they are stopped; this process becomes their server."""
    address, tracking = ui_address(settings, port=args.port), Tracking(settings.tracking_uri)
    if not tracking.uri.startswith("http"):
        check_free(args.port)
        if not sweep_names(Store(settings)):  # rather than an empty database in a new folder
            raise StoreError(f"no sweep in {settings.store} yet: there is nothing to show")
        tracking.retry(lambda: bring_files_here(tracking, settings), patience_s=0.0)
        found = sweep_addresses(settings, args.port)
        print("open", *found, f"  all: {address}", sep="\n", flush=True)
        # not as an argument, which all may read
        os.environ["MLFLOW_BACKEND_STORE_URI"] = tracking.uri
        # it is for language models, and takes 2 GB
        os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
        words = ["-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(args.port)]
        os.execv(sys.executable, [sys.executable, *words])
    print("its server is running: open", *sweep_addresses(settings), f"  all: {address}", sep="\n")
    return 0


def check_free(port: int) -> None:
    """Raises ConfigError: a server cannot listen there."""
    try:
        with socket.socket() as place:
            place.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "from 1 to 65535"
        raise ConfigError("--port", port, f"one that is free ({why})") from error


def sweep_addresses(settings: Settings, port: int = PORT) -> list[str]:
    """A line for each sweep of a store: where MLflow shows its trials."""
    store = Store(settings)
    known = {name: read_manifest(store, name) for name in sweep_names(store)}
    return [
        f"  {name}: {ui_address(settings, manifest.experiment_id, port)}"
        for name, manifest in known.items()
        if manifest
    ]


def bring_files_here(tracking: Tracking, settings: Settings) -> None:
    """MLflow finds the files of a store that was copied or moved."""
    store = Store(settings)
    # a driver that runs goes on writing to where it began, under the store's name on its machine
    still = [
        sweep
        for sweep in sweep_names(store)
        if not any(seen.is_alive() for seen in heartbeats(store, sweep))
    ]
    found = misplaced(tracking.client, settings.artifacts, still)
    if found and goes_along(tracking.uri, settings.artifacts):
        correct(tracking.uri, settings.artifacts, found)


def run_costs(settings: Settings, args: argparse.Namespace) -> int:
    store = store_with(args.sweep, settings)
    analyses, trials = (read_table(store, name, args.sweep) for name in ("analyses", "trials"))
    print(costs_table(analyses, trials))
    return 0


def warn(line: str) -> None:
    print(f"grok: {line}", file=sys.stderr, flush=True)
