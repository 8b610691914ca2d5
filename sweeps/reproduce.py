"""`grok reproduce`: run what a budget allows of the paper's experiments, write REPRODUCTION.md.

Every experiment is a sweep of its own, `paper-<experiment>-<scale>`, so the same command goes on
where it stopped, and trials that two experiments share are trained once.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grokmodel.config import ConfigError, TrialConfig
from grokmodel.decoder import DecoderError
from grokmodel.pack import BankKey, bank_key
from grokmodel.symbols import DataError, load_bank
from service import figures
from service.analysis_plan import NONE, Wish, missing
from service.preview import local_resources
from service.reproduction import document as reproduction
from service.reproduction import figures as reproduction_figures
from service.reproduction.evidence import Evidence, Ran
from service.settings import Settings
from service.storage import Store
from service.tables import done_ids, read_table
from sweeps.budget import Choice, Costs, choose, duration, parse_budget
from sweeps.paper import EXPERIMENTS, Experiment, Scale

STATE_KEY = "reproduction/state.json"
WISH = Wish(("spectra", "heads", "identities", "timesteps"))
"""The analyses that claims rest on."""
Say = Callable[[str], None]


def run(
    settings: Settings, args: argparse.Namespace, experiments: Sequence[Experiment] = EXPERIMENTS
) -> int:
    budget_s = parse_budget(args.budget)
    out = Path(args.out)
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ConfigError("--out", args.out, "a file in a folder that is there")
    store = Store(settings)
    failed = False
    if not args.no_run:
        asked = [e for e in experiments if args.only is None or e.name in args.only]
        choices = chosen_scales(asked, budget_s, settings, store)
        for line in plan_lines(choices):
            print(line)
        if args.dry_run:
            return 0
        state = read_state(store)
        waiting = {"reason": "stopped before its turn", "failed": False}
        state["experiments"] |= {c.experiment.name: waiting for c in choices if c.scale}
        for choice in choices:
            found = run_experiment(choice, settings, say)
            failed |= found["failed"]
            state["experiments"][choice.experiment.name] = found
            date = datetime.now(UTC).strftime("%Y-%m-%d")
            state["about"] = {"budget": args.budget, "date": date, **reproduction.machine()}
            store.put(STATE_KEY, json.dumps(state, indent=1).encode())
            write(out, store, experiments)  # what there is so far, should it be stopped
    write(out, store, experiments)
    print(f"written: {out}")
    return 1 if failed else 0


def say(line: str) -> None:
    print(f"grok: {line}", flush=True)


# --- choose --------------------------------------------------------------------------------------


def chosen_scales(
    experiments: Sequence[Experiment], budget_s: float, settings: Settings, store: Store
) -> list[Choice]:
    """What a budget pays for on this machine, with the data that are there."""
    costs = Costs(store, settings.data_root, local_resources())

    @functools.cache
    def bank_lacks(key: BankKey) -> str:
        try:
            load_bank(*key, root=settings.data_root)
        except (DataError, ConfigError) as error:
            return without_paths(error, settings).split(";")[0]
        return ""

    def lacking(scale: Scale) -> str:
        # of the banks of one kind the largest: to read the files takes its time
        largest: dict[str, TrialConfig] = {}
        for config in sorted(scale.configs, key=lambda c: (c.P, c.N)):
            largest[config.data] = dataclasses.replace(config, side=8, patch=0)
        return next((why for c in largest.values() if (why := bank_lacks(bank_key(c)))), "")

    return choose(experiments, budget_s, costs, lacking)


def without_paths(error: Exception, settings: Settings) -> str:
    """A message fit for a document: one line that names no folder of this machine."""
    return " ".join(str(error).split()).replace(settings.data_root, "DIR")


def plan_lines(choices: Sequence[Choice]) -> list[str]:
    """The plan as text, a line an experiment."""
    lines = [f"{'experiment':<20}{'scale':<14}{'trials':>6}{'cost':>10}  remark"]
    for c in choices:
        name, trials = (c.scale.name, len(c.scale.configs)) if c.scale else ("not run", 0)
        cost = duration(c.seconds) if c.seconds else "-"
        lines.append(f"{c.experiment.name:<20}{name:<14}{trials:>6}{cost:>10}  {c.reason}")
    total = sum(c.seconds for c in choices if c.scale)
    return [*lines, f"in all about {duration(total)}; what is done already costs nothing"]


# --- run -----------------------------------------------------------------------------------------


def run_experiment(choice: Choice, settings: Settings, say: Say) -> dict[str, Any]:
    """Bring one experiment to its end; what stops it alone is its reason, not the others' end."""
    scale, name = choice.scale, choice.experiment.name
    if scale is None:
        say(f"{name}: not run: {choice.reason}")
        return {"reason": choice.reason, "failed": False}
    # Ray and MLflow: only when they are needed
    from service.runner import analyze_sweep, run_sweep, start_ray
    from service.training import SweepError

    sweep = choice.experiment.sweep(scale)
    say(f"{name} at scale {scale.name}: about {duration(choice.seconds)}")
    try:
        run_sweep(sweep, scale.configs, settings, say, NONE)
        failures: tuple[str, ...] = ()
        if missing(Store(settings), sweep, WISH):
            start_ray()
            failures = analyze_sweep(sweep, settings, WISH, say)
    except (DataError, DecoderError, SweepError) as error:
        say(f"{name}: {error}")
        return {"reason": without_paths(error, settings), "failed": isinstance(error, SweepError)}
    return {"reason": choice.reason, "failed": bool(failures)}


# --- write ---------------------------------------------------------------------------------------


def read_state(store: Store) -> dict[str, Any]:
    """What the runs so far said of themselves."""
    data = store.get_or_none(STATE_KEY)
    return dict(json.loads(data)) if data else {"about": {}, "experiments": {}}


def ran_so_far(store: Store, experiments: Sequence[Experiment]) -> dict[str, Ran]:
    """Of each experiment the largest scale that is complete, or else the one with most trials."""
    notes = read_state(store)["experiments"]
    out = {}
    for experiment in experiments:
        reason = notes.get(experiment.name, {}).get("reason", "not asked for")
        found = [_ran(store, experiment, scale, reason) for scale in experiment.scales]
        complete = [ran for ran in found if ran.done == ran.planned]
        best = complete[0] if complete else max(found, key=lambda ran: ran.done)
        title = experiment.title
        out[experiment.name] = best if best.done else Ran(experiment.name, title, reason=reason)
    return out


def _ran(store: Store, experiment: Experiment, scale: Scale, reason: str) -> Ran:
    sweep = experiment.sweep(scale)
    ids = frozenset(c.trial_id for c in scale.configs)
    done = len(ids & done_ids(store, sweep))
    is_full = scale is experiment.scales[0] and done == len(ids) and not scale.stand_in
    return Ran(experiment.name, experiment.title, sweep, scale.name, scale.words, is_full,
               scale.stand_in, len(ids), done, reason, ids)  # fmt: skip


def write(out: Path, store: Store, experiments: Sequence[Experiment]) -> None:
    """The document and its figures, from the tables."""
    evidence = Evidence(functools.partial(read_table, store), ran_so_far(store, experiments))
    unknown = dict.fromkeys(("budget", "date", "device", "commit", "versions"), "unknown")
    about = unknown | read_state(store)["about"]
    drawn = []
    for name, (figure, caption) in reproduction_figures.draw(evidence).items():
        path = Path("docs") / f"reproduction-{name}.png"
        (out.parent / path).parent.mkdir(exist_ok=True)
        (out.parent / path).write_bytes(figures.png(figure))
        drawn.append((str(path), caption))
    out.write_text(reproduction.document(evidence, about, drawn))


if __name__ == "__main__":
    from sweeps.grok import main

    sys.exit(main(["reproduce", *sys.argv[1:]]))
