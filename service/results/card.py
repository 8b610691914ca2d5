"""All that one asks of a trial first, on one screen of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pandas as pd

from service.results.errors import NoSnapshotError, ResultError
from service.results.trial import Row, Trial
from service.tables import clocks
from service.tables.names import changed_fields
from service.text import config_value, count, duration, grok_command, measured

WIDTH, MARGIN = 110, 11
CLOCKS = {
    "train_step": "training pairs",
    "val_step": "validation pairs",
    "val_step_strict": "strict pairs",
}
SIDES = ("train_acc", "val_acc", "val_acc_strict")
FREQUENCIES = ("ffn.pre", "ffn.post")
"""Hook points of the last block whose key frequencies are told, and that of the output."""


def card(trial: Trial) -> str:
    """A trial in words: where its config differs from the defaults, its phase, when it learned,
    how well, by which frequencies, what there is of it, and how to train it again."""
    row, config = trial.row, trial.config
    changed = (f"{n} {config_value(v)}" for n, v in changed_fields(config).items())
    seconds = duration(float(row["wall_s"]))
    made = count(int(row["steps_run"]), "step")
    lines = [
        ("trial", f"{trial.id} of sweep {trial.sweep}"),
        ("config", f"{', '.join(changed) or 'the defaults'} (all else as by default)"),
        ("phase", f"{trial.phase}, after {made} in {seconds} on {row['device']}"),
        ("learned", ", ".join(_learned(row))),
        (
            "pairs",
            f"{row['n_train']:,} train, {row['n_val']:,} validate, "
            f"{row['n_strict']:,} of them strict",
        ),
        *_accuracies(row),
        ("key freq.", _key_frequencies(trial)),
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


def _learned(row: Row) -> Iterator[str]:
    """When each kind of pairs was learned, and how much later the strict ones."""
    frame = pd.DataFrame([row])
    for column, name in CLOCKS.items():
        yield f"{name} {_when(clocks.clock(frame, column))}"
    yield f"lag {clocks.median(clocks.lag(frame)).words}"


def _when(found: pd.DataFrame) -> str:
    words = clocks.median(found).words
    return f"by step {words}" if words[:1].isdigit() else words


def _accuracies(row: Row) -> Iterator[tuple[str, str]]:
    """Lines of accuracies by samples of many steps and of few, and on images that never train."""
    yield "accuracy", f"{'':<22}{'train':>8}{'val':>8}{'strict':>8}"
    few, many = int(row["sample_steps"]), int(row["final_sample_steps"])
    for steps, suffix in ((few, ""), (many, "_final"), (1, "_1step")):
        yield "", _shares(f"samples of {count(steps, 'step')}", row, [x + suffix for x in SIDES])
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
