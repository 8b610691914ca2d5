"""A sweep in words: trials by phase, a table with one line a setting, where everything lies."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from grokmodel.core.outcome import PHASES
from grokmodel.image.config import AXES
from service.settings import Settings, sqlite_uri, without_password
from service.text import config_value, count, median_step, spread

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
"""By images that never train: shown where there are several images a symbol."""

PORT = 5000
"""Of MLflow's pages on this machine, unless told otherwise."""


def counted(trials: pd.DataFrame) -> str:
    """`6 trials, 3 seeds`."""
    return f"{count(len(trials), 'trial')}, {count(trials['seed'].nunique(), 'seed')}"


def phase_table(trials: pd.DataFrame) -> str:
    """Trials by phase as text, with what a reader asks next: when, and how well."""
    if trials.empty:
        return "  no trial is done yet"
    lines = [f"  {'phase':<14}{'trials':>7}{'strict acc':>12}{'train step':>12}{'strict step':>13}"]
    for phase in PHASES:
        group = trials[trials["phase"] == phase]
        if group.empty:
            continue
        train, strict = (median_step(group[c]) for c in ("train_step", "val_step_strict"))
        accuracy = group["val_acc_strict"].median()
        lines.append(f"  {phase:<14}{len(group):>7}{accuracy:>12.2f}{train:>12}{strict:>13}")
    lines.append("  (medians)")
    return "\n".join(lines)


def settings_table(trials: pd.DataFrame) -> str:
    """One Markdown line a setting: median and range over its seeds.

    Settings are told apart by the config columns that vary; each line names only those of its
    values that differ from the commonest.
    """
    silent = {"seed", "patch"} if (trials["patch"] == trials["side"]).all() else {"seed"}
    names = [name for name in AXES if name not in silent]
    varied = [name for name in names if trials[name].nunique() > 1]
    usual = {name: trials[name].mode()[0] for name in varied}
    steps = ("train_step", "val_step_strict")
    results = RESULTS | (HELD_OUT if trials["val_acc_heldout"].notna().any() else {})
    head = ["setting", "seeds", "phases", *results.values(), "train step", "strict step", "s"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    groups = trials.groupby(varied) if varied else [((), trials)]
    for key, group in groups:
        values = dict(zip(varied, key if isinstance(key, tuple) else (key,), strict=True))
        odd = [f"{k} {config_value(v)}" for k, v in values.items() if v != usual[k]]
        counts = group["phase"].value_counts()
        cells = [
            ", ".join(odd) or "as below",
            str(len(group)),
            ", ".join(f"{n} {phase}" for phase, n in counts.items()),
            *(spread(group[column]) for column in results),
            *(median_step(group[column]) for column in steps),
            f"{group['wall_s'].median():.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    common = ", ".join(f"{k} {config_value(v)}" for k, v in usual.items())
    return "\n".join(
        [*lines, "", f"Where a line does not say otherwise: {common or 'one setting'}."]
    )


def closing_words(name: str, settings: Settings, figures: Sequence[str], experiment_id: str) -> str:
    """Where everything lies, and the one command that opens each."""
    store = settings.store
    picture = next((f for f in figures if "/phase-" in f and f.endswith(".png")), None)
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    is_local = picture and "://" not in store
    again = ["grok", "figures", "--sweep", name]
    show = shlex.join([opener, f"{store}/{picture}"] if is_local else again)
    place = json.dumps(f"{store}/tables/trials", ensure_ascii=False)  # double quotes stay readable
    table = f"import pandas as pd; print(pd.read_parquet({place}))"
    return f"""
report   {store}/figures/{name}/report.html
tables   {store}/tables/{{trials,curves,spectra,...}}
         {shlex.join([sys.executable, "-c", table])}
figures  {store}/figures/{name}
         {show}
MLflow   {without_password(settings.tracking_uri)}
         {ui_command(settings)}
         and open {ui_address(settings, experiment_id)}
"""


def ui_command(settings: Settings) -> str:
    """The command that serves MLflow's pages."""
    uri = settings.tracking_uri
    if uri.startswith("http"):
        return "(its server is running)"
    program = str(Path(sys.executable).parent / "grok")
    command = shlex.join([program, "ui", "--store", settings.store])
    # whoever pastes it has the password, if there is one, in the environment
    is_usual = uri == sqlite_uri(f"{settings.store}/mlflow.db") or uri != without_password(uri)
    return command if is_usual else f"MLFLOW_TRACKING_URI={shlex.quote(uri)} {command}"


def ui_address(settings: Settings, experiment_id: str = "", port: int = PORT) -> str:
    """The page of the sweep, or of all; without the type MLflow shows its pages for language
    models."""
    uri = settings.tracking_uri
    is_server = uri.startswith("http")
    host = without_password(uri).rstrip("/") if is_server else f"http://127.0.0.1:{port}"
    page = f"experiments/{experiment_id}/runs" if experiment_id else "experiments"
    return f"{host}/#/{page}?workflowType=machine_learning"
