"""A sweep in words: trials by phase, a table with one line per setting, where everything lies."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from grokmodel.core.outcome import PHASES
from service.settings import Settings, sqlite_uri, without_password
from service.tables import clocks
from service.tables.names import varied_fields
from service.text import config_value, count, spread

RESULTS = {
    "val_acc": "val",
    "val_acc_strict": "strict",
    "val_acc_strict_1step": "strict, 1 step",
    "val_acc_strict_final": "strict, final steps",
}
HELD_OUT = {
    "val_acc_heldout": "val, unseen images",
    "val_acc_strict_heldout": "strict, unseen images",
}
"""By images that never train: shown where there are several images per symbol."""
CENSORED = (
    "Steps are medians over all trials of a line; in brackets, how many of them had learned. `not "
    "by N` and `> N`: not learned by their last step, N."
)

VIEW = "trials"
"""Key of the view of a sweep's runs that its address opens."""
PORT = 5000
"""Of MLflow's pages on this machine, unless told otherwise."""


def counted(trials: pd.DataFrame) -> str:
    """`6 trials, 3 seeds`."""
    return f"{count(len(trials), 'trial')}, {count(trials['seed'].nunique(), 'seed')}"


def phase_table(trials: pd.DataFrame) -> str:
    """Trials by phase as text, with what a reader asks next: when, and how well."""
    if trials.empty:
        return "  no trial is done yet"
    head = f"  {'phase':<14}{'trials':>7} {'strict acc':>14} {'train step':>19} {'strict step':>19}"
    lines = [head]
    for phase in PHASES:
        group = trials[trials["phase"] == phase]
        if group.empty:
            continue
        train, strict = (_step(group, c) for c in ("train_step", "val_step_strict"))
        accuracy = _median_share(group["val_acc_strict"])
        lines.append(f"  {phase:<14}{len(group):>7} {accuracy:>14} {train:>19} {strict:>19}")
    lines.append("  (medians; not by N, > N: not learned by the last step, N)")
    return "\n".join(lines)


def settings_table(trials: pd.DataFrame, axes: Sequence[str] | None = None) -> str:
    """One Markdown line per setting: median and range over its seeds.

    Args:
        axes: columns that tell settings apart; by default those that vary.

    Settings are told apart by the config columns that vary; each line names those of its values
    that differ from the commonest, and all of a column in which no value is commoner than others.
    """
    varied = varied_fields(trials) if axes is None else list(axes)
    modes = {name: trials[name].mode() for name in varied}
    usual = {name: values[0] for name, values in modes.items() if len(values) == 1}
    steps = ("train_step", "val_step_strict")
    results = RESULTS | (HELD_OUT if trials["val_acc_heldout"].notna().any() else {})
    head = ["setting", "seeds", "phases", *results.values(), "train step", "strict step", "s"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    groups = trials.groupby(varied, dropna=False) if varied else [((), trials)]
    for key, group in groups:
        values = dict(zip(varied, key if isinstance(key, tuple) else (key,), strict=True))
        odd = {k: v for k, v in values.items() if k not in usual or v != usual[k]}
        counts = {phase: int((group["phase"] == phase).sum()) for phase in PHASES}
        cells = [
            ", ".join(f"{k} {config_value(v)}" for k, v in odd.items()) or "as below",
            str(len(group)),
            ", ".join(f"{n} {phase}" for phase, n in counts.items() if n),
            *(spread(group[column]) for column in results),
            *(_step(group, column) for column in steps),
            f"{group['wall_s'].median():.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    common = ", ".join(f"{k} {config_value(v)}" for k, v in usual.items())
    if common or not varied:
        lines += ["", f"Where a line does not say otherwise: {common or 'one setting'}."]
    if trials[list(steps)].isna().any(axis=None):
        lines += ["", CENSORED]
    return "\n".join(lines)


def closing_words(name: str, settings: Settings, experiment_id: str) -> str:
    """Where everything lies; last the one address to open."""
    store = settings.store
    page = f"{store}/figures/{name}/report.html"
    is_folder = "://" not in store
    command = shlex.join([_program(), "open", "--sweep", name, "--store", store])
    return f"""
tables   {store}/tables/{{trials,curves,spectra,...}}
MLflow   {without_password(settings.tracking_uri)}
         {ui_command(settings)}
         and open {ui_address(settings, experiment_id)}
pictures {store}/figures/{name}
page     {f"open {Path(page).resolve().as_uri()}" if is_folder else command}
"""


def ui_command(settings: Settings) -> str:
    """The command that serves MLflow's pages."""
    uri = settings.tracking_uri
    if uri.startswith("http"):
        return "(its server is running)"
    command = shlex.join([_program(), "ui", "--store", settings.store])
    # whoever pastes it has the password, if there is one, in the environment
    is_usual = uri == sqlite_uri(f"{settings.store}/mlflow.db") or uri != without_password(uri)
    return command if is_usual else f"MLFLOW_TRACKING_URI={shlex.quote(uri)} {command}"


def _program() -> str:
    return str(Path(sys.executable).parent / "grok")


def ui_address(settings: Settings, experiment_id: str = "", port: int = PORT) -> str:
    """The page of the sweep, its trials in the view of `tracking/view.py`, or of all sweeps;
    without the type MLflow shows its pages for language models."""
    uri = settings.tracking_uri
    is_server = uri.startswith("http")
    host = without_password(uri).rstrip("/") if is_server else f"http://127.0.0.1:{port}"
    page = f"experiments/{experiment_id}/runs" if experiment_id else "experiments"
    view = f"&viewStateShareKey={VIEW}" if experiment_id else ""
    return f"{host}/#/{page}?workflowType=machine_learning{view}"


def _median_share(values: pd.Series) -> str:
    """Median, and in how many of the trials there was something to measure if not in all."""
    known = values.dropna()
    if known.empty:
        return "-"
    some = f" ({len(known)} of {len(values)})" if len(known) < len(values) else ""
    return f"{known.median():.2f}{some}"


def _step(trials: pd.DataFrame, column: str) -> str:
    return str(clocks.median(clocks.clock(trials, column)))
