"""`grok reproduce`: run what a budget allows of the paper's experiments, write REPRODUCTION.md.

Every experiment is a sweep of its own, `paper-<experiment>-<scale>`, so the same command resumes
where it stopped, and trials that two experiments share are trained once.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from grokmodel.errors import ConfigError, DataError
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import DecoderError, needs_training
from grokmodel.image.pack import BankKey, bank_key
from service.analysis.failures import Failure
from service.analysis.pending import Wish
from service.report import figures
from service.reproduction import document as reproduction
from service.reproduction import figures as reproduction_figures
from service.reproduction.evidence import Evidence, Ran
from service.schedule.preview import local_resources
from service.settings import Settings
from service.store.origins import trained_elsewhere
from service.store.store import Store
from service.tables.importing import import_bundles
from service.tables.reading import done_ids, read_table
from service.text import duration
from sweeps.budget import Choice, Costs, parse_budget
from sweeps.bundled import Bundled, bundled
from sweeps.choices import asked_for, chosen_scales, on_images_here, plan_lines, without_paths
from sweeps.flags import say
from sweeps.paper import EXPERIMENTS, Experiment, Scale
from sweeps.run_notes import Notes

WISH = Wish(("spectra", "heads", "identities", "timesteps"))
"""The analyses that claims rest on."""


def run(
    settings: Settings, args: argparse.Namespace, experiments: Sequence[Experiment] = EXPERIMENTS
) -> int:
    size = args.scale or parse_budget(args.budget)
    out = Path(args.out)
    check_out(out)
    asked_for(experiments, args.only, args.scale)  # refuse before files are read
    bundles = bundled(args)
    experiments = on_images_here(experiments, settings, bundles)
    asked = asked_for(experiments, args.only, args.scale)
    store = Store(settings)
    if not args.dry_run:
        for found in import_bundles(store, bundles.bundles):
            if found.new:
                say(str(found))
    notes = Notes(store)
    if args.no_run:
        write(out, notes, experiments)
        return 0
    costs = Costs(store, settings.data_root, local_resources(), bundles)
    done = done_ids(store) | bundles.trial_ids
    choices = chosen_scales(asked, size, costs, settings, done, bundles)
    for line in plan_lines(choices, costs, done):
        print(line)
    if args.dry_run:
        return 0
    if args.export:
        print(export(args.export, choices, settings))
        return 0
    to_run = [c for c in choices if not note_at_first(c, notes, bundles)]
    this_run = reproduction.this_run("" if args.scale else args.budget)
    failed = False
    for choice in to_run:
        failed |= run_noted(choice, settings, notes, this_run)
        write(out, notes, experiments)  # after each: what there is so far, should it be stopped
    if not to_run:
        notes.save()
        write(out, notes, experiments)
    return 1 if failed else 0


def note_at_first(choice: Choice, notes: Notes, bundles: Bundled) -> bool:
    """Note what holds of an experiment until it is run; is it all there, so that it need not be?"""
    scale, name = choice.scale, choice.experiment.name
    if scale is None:
        return False
    if bundles.has(scale):
        say(f"{name}: its {len(scale.configs)} trials at scale {scale.name} are in the bundles")
        notes.add(name, choice.reason, scale=scale.name)
        return True
    notes.add(name, "stopped before it was done")
    return False


def export(path: Path, choices: Sequence[Choice], settings: Settings) -> str:
    """Write the plan file of the one experiment that was asked for; returns what there is to say.

    Raises:
        ConfigError: there are several, or it cannot be run.
        ArchiveError, DecoderError, StoreError, TableError: as `export_plan`.
    """
    from service.schedule.export import export_plan  # Ray: only when it is needed

    if len(choices) != 1:
        raise ConfigError("--export", str(path), "with --only NAME: a plan is of one experiment")
    (choice,) = choices
    name, scale = choice.experiment.name, choice.scale
    if scale is None:
        allowed = f"an experiment that can be run here; {name}: {choice.reason}"
        raise ConfigError("--export", str(path), allowed)
    return export_plan(path, choice.experiment.sweep(scale), scale.configs, settings)


def check_out(out: Path) -> None:
    """Try to write where the document and its figures are to go, before hours are spent on them.

    Raises:
        ConfigError: that cannot be.
    """
    docs = out.parent / "docs"
    try:
        if out.exists():
            out.open("a").close()
        for folder in (out.parent, docs):
            if folder == out.parent or docs.exists():
                tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        allowed = f"a file in a folder that is there, both to be written ({error.strerror})"
        raise ConfigError("--out", str(out), allowed) from error


# --- run -----------------------------------------------------------------------------------------


def run_noted(choice: Choice, settings: Settings, notes: Notes, this_run: reproduction.Run) -> bool:
    """Run one experiment, note how it ended and, if it added something, this run; is it failed?"""
    name, scale = choice.experiment.name, choice.scale.name if choice.scale else ""
    sweep = choice.experiment.sweep(choice.scale) if choice.scale else ""
    before = _rows(notes.store, sweep)
    # before it starts: what a run that is killed has trained is its own all the same
    is_new = bool(scale) and notes.add_run(name, scale, choice.reason, this_run)
    notes.save()
    reason, failed = run_experiment(choice, settings)
    if is_new and _rows(notes.store, sweep) == before:
        notes.drop_run(name, scale, this_run)
    notes.add(name, reason, failed, scale)
    notes.save()
    return failed


def _rows(store: Store, sweep: str) -> int:
    """Trials and analyses of a sweep that are done."""
    tables = ("trials", "analyses") if sweep else ()
    return sum(len(read_table(store, t, sweep, columns=["trial_id"])) for t in tables)


def run_experiment(choice: Choice, settings: Settings) -> tuple[str, bool]:
    """Bring one experiment to its end; what stops it alone is its reason, not the others' end.

    Returns:
        Why it was not run, or not larger or not all of it, if so; and whether it failed.
    """
    scale, name = choice.scale, choice.experiment.name
    if scale is None:
        say(f"{name}: not run: {choice.reason}")
        return choice.reason, False
    # Ray and MLflow: only when they are needed
    from service.schedule.driver import run_sweep
    from service.schedule.plan import SweepError

    sweep = choice.experiment.sweep(scale)
    say(f"{name} at scale {scale.name}: about {duration(choice.seconds)}")
    failures: tuple[Failure, ...] = ()
    try:
        refused = refused_banks(scale.configs, settings)
        for why in refused.values():
            say(f"{name}: {why}")
        configs = [c for c in scale.configs if bank_key(c) not in refused]
        if configs:
            failures = run_sweep(sweep, configs, settings, say, WISH).failures
    except (DataError, DecoderError, SweepError) as error:
        say(f"{name}: {error}")
        return without_paths(error, settings), isinstance(error, SweepError)
    return "; ".join(filter(None, [*refused.values(), choice.reason])), bool(failures)


def refused_banks(configs: Sequence[TrialConfig], settings: Settings) -> dict[BankKey, str]:
    """Banks of trials to be trained that no decoder reads well enough, and what is wrong.

    A sweep is refused as a whole if one of its banks is: so they are asked for one by one before.
    """
    from service.data.decoders import prepare_decoders
    from service.schedule.cluster import start_ray

    done = done_ids(Store(settings))
    todo = {bank_key(c): c for c in configs if needs_training(c.N) and c.trial_id not in done}
    refused = {}
    for key, config in todo.items():
        start_ray()
        try:
            prepare_decoders([config], settings)
        except DecoderError as error:
            # without the advice: nobody chooses the alphabet of an experiment
            refused[key] = f"P = {config.P}: {without_paths(error, settings).split('. ')[0]}"
    return refused


# --- write ---------------------------------------------------------------------------------------


def ran_so_far(notes: Notes, experiments: Sequence[Experiment]) -> dict[str, Ran]:
    """Of each experiment the largest scale that is complete, or else the one with most trials.

    A trial is its config: it counts whichever sweep trained it.
    """
    done = done_ids(notes.store)
    out = {}
    for experiment in experiments:
        found = [_ran(notes, done, experiment, scale) for scale in experiment.scales]
        complete = [ran for ran in found if ran.done == ran.planned]
        best = complete[0] if complete else max(found, key=lambda ran: ran.done)
        name, title = experiment.name, experiment.title
        out[name] = best if best.done else Ran(name, title, reason=notes.reason(name))
    return out


def _ran(notes: Notes, all_done: set[str], experiment: Experiment, scale: Scale) -> Ran:
    ids = frozenset(c.trial_id for c in scale.configs)
    done = len(ids & all_done)
    is_full = scale is experiment.scales[0] and done == len(ids) and not scale.stand_in
    reason = notes.reason(experiment.name, scale.name)
    return Ran(experiment.name, experiment.title, experiment.sweep(scale), scale.name, scale.words,
               is_full, scale.stand_in, len(ids), done, reason, ids)  # fmt: skip


def rows_of(store: Store, ran: Mapping[str, Ran]) -> Callable[[str, str], pd.DataFrame]:
    """Reads the rows of a table that belong to the trials of a sweep, whichever sweep they are in.

    A table is read once, for all of them.
    """
    ids = {r.sweep: r.trial_ids for r in ran.values() if r.sweep}
    known = frozenset().union(*ids.values())

    @functools.cache
    def table(name: str) -> pd.DataFrame:
        return read_table(store, name, trial_ids=known)

    def read(name: str, sweep: str) -> pd.DataFrame:
        rows = table(name)
        return rows[rows["trial_id"].isin(ids[sweep])]

    return read


def _elsewhere(store: Store, ran: Ran) -> list[reproduction.Run]:
    """What trained the imported trials of a sweep."""
    facts = trained_elsewhere(store, ran.sweep) if ran.sweep else []
    return [reproduction.run_of(each) for each in facts]


def write(out: Path, notes: Notes, experiments: Sequence[Experiment]) -> None:
    """The document and its figures, from the tables."""
    ran = ran_so_far(notes, experiments)
    evidence = Evidence(rows_of(notes.store, ran), ran)
    runs = {
        name: [*_elsewhere(notes.store, r), *notes.runs(name, r.scale)] for name, r in ran.items()
    }
    drawn = []
    for name, (figure, caption) in reproduction_figures.draw(evidence).items():
        path = Path("docs") / f"reproduction-{name}.png"
        (out.parent / path).parent.mkdir(exist_ok=True)
        (out.parent / path).write_bytes(figures.render(figure, "png"))
        drawn.append((str(path), caption))
    out.write_text(reproduction.document(evidence, runs, drawn))
    print(f"written: {out}", flush=True)
