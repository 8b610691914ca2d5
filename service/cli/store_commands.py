"""What the commands of `grok` do that read and keep the store; each returns an exit code.

They answer at once: nothing here needs torch, MLflow or matplotlib.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import webbrowser
from pathlib import Path

from grokmodel.errors import ConfigError
from service.health import garbage
from service.health.status import status_of
from service.settings import Settings
from service.store.keys import figures_prefix
from service.store.manifest import check_known, sweep_names
from service.store.store import Store, StoreError
from service.tables import clocks, compaction, selection
from service.tables.names import varied_fields
from service.tables.reading import read_table
from service.tables.schema.dictionary import dictionary
from service.tables.summary import phase_table, settings_table
from service.text import byte_size


def run_status(settings: Settings, args: argparse.Namespace) -> int:
    store = store_with(args.sweep, settings)
    names = sweep_names(store) if args.sweep is None else [args.sweep]
    found = [status_of(store, name) for name in names]
    if args.json:
        print(json.dumps([status.to_dict() for status in found], indent=1))
    elif not found:
        print(f"no sweep in {store.url} yet; start one: python sweeps/grok_phase.py --preset demo")
    for status in found if not args.json else []:
        print(status.text())
    return 0


def run_compact(settings: Settings, args: argparse.Namespace) -> int:
    store = store_with(args.sweep, settings)
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
    size = byte_size(sum(each.size for each in found))
    print(f"{size} freed" if args.delete else f"{size} would be freed by: grok gc --delete")
    return 0


def run_doctor(settings: Settings | None, args: argparse.Namespace) -> int:
    from service.health import doctor  # torch and MLflow: only when they are needed

    return doctor.run(args.store, args.json, args.data_root)


def run_open(settings: Settings, args: argparse.Namespace) -> int:
    """The page in the user's browser; where there is none, its address is what they get."""
    store = store_with(args.sweep, settings)
    key, trial_id = _page_of(store, args.sweep, args.trial, settings)
    if store.is_s3:
        path = Path(tempfile.mkdtemp(prefix="grok-page-")) / "report.html"
        path.write_bytes(store.get(key))
    else:
        path = Path(store.path(key)).resolve()
    address = path.as_uri() + (f"#{trial_id}" if trial_id else "")
    print(f"open {address}", flush=True)
    webbrowser.open(address)
    return 0


def _page_of(
    store: Store, sweep: str | None, trial: str | None, settings: Settings
) -> tuple[str, str]:
    """Key of a page, and the id of a trial on it, if one is asked for. The page of a sweep that was
    imported is drawn now."""
    trial_id = ""
    if trial is not None:
        rows = read_table(store, "trials", sweep, columns=["trial_id", "sweep"])
        where = f"sweep {sweep!r}" if sweep else f"store {store.url}"
        row = selection.by_prefix(rows.drop_duplicates("trial_id"), trial, where)
        trial_id, sweep = row["trial_id"], row["sweep"]
    pages = [
        entry
        for entry in store.entries(figures_prefix(sweep) if sweep else "figures")
        if entry.key.endswith("/report.html")
    ]
    if not pages and sweep and len(read_table(store, "trials", sweep, columns=["trial_id"])):
        from service.schedule.drawing import draw_sweep  # matplotlib: only when it is needed

        return draw_sweep(store, sweep, settings)[0], trial_id
    if not pages:
        what = f"sweep {sweep!r}" if sweep else "any sweep"
        raise StoreError(f"no page of {what} in {store.url} yet: it comes with the first trials")
    return max(pages, key=lambda entry: entry.modified).key, trial_id


def run_columns(settings: Settings, args: argparse.Namespace) -> int:
    print(dictionary(), end="")
    return 0


def run_table(settings: Settings, args: argparse.Namespace) -> int:
    store = store_with(args.sweep, settings)
    trials = read_table(store, "trials", args.sweep)
    if args.where is None and args.sort is None and not (args.csv or args.descending):
        print(settings_table(trials) if len(trials) else phase_table(trials))
        return 0
    if args.descending and args.sort is None:
        raise ConfigError("--descending", True, "left out without --sort")
    trials, axes = clocks.with_lag(trials), varied_fields(trials)
    if args.where is not None:
        trials = selection.where(trials, args.where)
    if args.sort is not None:
        trials = selection.in_order(trials, args.sort, args.descending)
    if args.csv:
        print(trials.to_csv(index=False), end="")
    elif trials.empty:
        print(f"no trial of {args.sweep}" + (f" with {args.where}" if args.where else ""))
    else:
        by_trial = args.sort is not None
        table = selection.trials_table(trials, args.sort) if by_trial else ""
        print(table or settings_table(trials, axes))
    return 0


def store_with(sweep: str | None, settings: Settings) -> Store:
    """The store, which has the sweep if one is named.

    Raises:
        StoreError: it has not, or the manifest of the sweep is damaged.
    """
    store = Store(settings)
    if sweep is not None:
        check_known(store, sweep)
    return store
