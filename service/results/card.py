"""All that one asks of a trial first, on one screen of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

import pandas as pd

from grokmodel.core.outcome import OF_PAIRS
from service.results.errors import NoSnapshotError, ResultError
from service.results.trial import Row, Trial
from service.tables import clocks
from service.tables.names import changed_fields
from service.text import config_value, count, duration, grok_command, measured

WIDTH, MARGIN = 110, 11
STEPS = {"train_acc": "train_step", "val_acc": "val_step", "val_acc_strict": "val_step_strict"}
"""When each accuracy counts as learned."""
PAIRS = dict(zip(STEPS, ("training pairs", "validation pairs", "strict pairs")))
FREQUENCIES = ("ffn.pre", "ffn.post")
"""Hook points of the last block whose key frequencies are told, and that of the output."""


def card(trial: Trial) -> str:
    """A trial in words: where its config differs from the defaults, its phase, when it learned,
    how well, by which frequencies, what there is of it, and how to train it again."""
    row, config = trial.row, trial.config
    changed = (f"{n} {config_value(v)}" for n, v in changed_fields(config).items())
    seconds = duration(float(row["wall_s"]))
    made = count(int(row["steps_run"]), "step")
    has_pairs = config.curve_names is OF_PAIRS
    names = PAIRS if has_pairs else config.curve_names.accuracies
    lines = [
        ("trial", f"{trial.id} of sweep {trial.sweep}"),
        ("config", f"{', '.join(changed) or 'the defaults'} (all else as by default)"),
        ("phase", f"{trial.phase}, after {made} in {seconds} on {row['device']}"),
        ("learned", ", ".join(_learned(row, names))),
        ("pairs" if has_pairs else "examples", ", ".join(_examples(row))),
        *_accuracies(row, names),
        *([("key freq.", _key_frequencies(trial))] if has_pairs else []),
        ("snapshots", _snapshots(trial)),
        ("again", trial.command),
    ]
    return "\n".join(_wrapped(label, text) for label, text in lines)


def _wrapped(label: str, text: str) -> str:
    # a command is one line, to be copied
    wide = label == "again" or not text
    indent = " " * MARGIN
    body = [text] if wide else textwrap.wrap(text, WIDTH - MARGIN, break_on_hyphens=False)
    return f"{label:<{MARGIN}}" + f"\n{indent}".join(body)


def _learned(row: Row, names: Mapping[str, str]) -> Iterator[str]:
    """When each of its accuracies was learned, and how much later the strict one."""
    frame = pd.DataFrame([row])
    for column, name in names.items():
        if column in STEPS:
            yield f"{name} {_when(clocks.clock(frame, STEPS[column]))}"
    yield f"lag {clocks.median(clocks.lag(frame)).words}"


def _when(found: pd.DataFrame) -> str:
    words = clocks.median(found).words
    return f"by step {words}" if words[:1].isdigit() else words


def _examples(row: Row) -> Iterator[str]:
    """How many there are of each kind, of those that the family of the trial has."""
    kinds = {"n_train": "train", "n_val": "validate", "n_strict": "of them strict"}
    for column, words in kinds.items():
        if measured(row[column]):
            yield f"{int(row[column]):,} {words}"


def _accuracies(row: Row, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Lines of accuracies by samples of many steps and of few, and on images that never train."""
    if not measured(row["final_sample_steps"]):  # of a family that draws nothing anew at the end
        found = {name: row[f"{column}_final"] for column, name in names.items() if column in STEPS}
        yield "accuracy", ", ".join(f"{name} {_share(value)}" for name, value in found.items())
        return
    yield "accuracy", f"{'':<22}{'train':>8}{'val':>8}{'strict':>8}"
    few, many = int(row["sample_steps"]), int(row["final_sample_steps"])
    for steps, suffix in ((few, ""), (many, "_final"), (1, "_1step")):
        yield "", _shares(f"samples of {count(steps, 'step')}", row, [x + suffix for x in STEPS])
    unseen = ["", "val_acc_heldout_final", "val_acc_strict_heldout_final"]
    if measured(row[unseen[1]]):
        yield "", _shares("unseen operand images", row, unseen)


def _shares(name: str, row: Row, columns: list[str]) -> str:
    values = (row[column] if column else None for column in columns)
    return f"{name:<22}" + "".join(f"{_share(value):>8}" for value in values)


def _share(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.2f}"


def _key_frequencies(trial: Trial) -> str:
    """Those of the last FFN and of the output, with the noisiest image that was shown."""
    spectra = trial.table("spectra")
    if spectra.empty:
        command = grok_command(
            trial.store.url, "analyze", "--sweep", trial.sweep, "--only", "spectra"
        )
        return f"not analyzed: {command}"
    last = max(name.split(".")[0] for name in spectra["hook"] if name.startswith("block"))
    noisiest = spectra[(spectra["t"] == spectra["t"].max()) & (spectra["shown"] != "right")]
    said = []
    for hook in (*(f"{last}.{part}" for part in FREQUENCIES), "output"):
        mine = noisiest[(noisiest["hook"] == hook) & noisiest["is_key"].astype(bool)]
        keys = ", ".join(map(str, sorted(mine["frequency"])))
        said.append(f"{hook}: {keys or 'none'}")
    return "; ".join(said)


def _snapshots(trial: Trial) -> str:
    try:
        return f"at steps {', '.join(map(str, trial.steps))}"
    except NoSnapshotError:
        return f"none in {trial.store.url}: what was imported has rows only"
    except ResultError as error:
        return f"none can be read: {error}"
