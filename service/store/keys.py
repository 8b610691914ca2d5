"""Where everything lies in a store: every key of the project is made here.

checkpoints/<trial_id>/state.safetensors      resume point, gone once the trial is done
checkpoints/<trial_id>/step=<n>-<run_id>.safetensors  snapshots for analyses; the last is the result
decoders/<key>.safetensors                    image classifiers, shared by trials
tables/<table>/sweep=<name>/<part>.parquet
sweeps/<name>/<part>.json                     the sweep's configs
origins/<sweep>/<part>.json                   on what its trials were trained here
imports/<sweep>/<part>.json                   which trials came in a bundle, and from where
figures/<sweep>/...                           about the whole sweep; report.html
boundaries/<search>/...                       what a boundary search found
progress/<sweep>/<driver>.json                what a driver that runs says of itself
outbox/<sweep>/<trial_id>/<token>             MLflow lacks something of this trial
"""

from __future__ import annotations

import re

from service.store.store import Store


def state_key(trial_id: str) -> str:
    return f"checkpoints/{trial_id}/state.safetensors"


def snapshot_key(trial_id: str, step: int, run_id: str) -> str:
    """Runs that differ up to this step have files of their own.

    Args:
        run_id: of the curve up to this step.
    """
    return f"checkpoints/{trial_id}/step={step}-{run_id}.safetensors"


def snapshots(store: Store, trial_id: str) -> list[tuple[int, str]]:
    """Step and run of every snapshot of a trial."""
    names = (key.rsplit("/", 1)[-1] for key in store.list(f"checkpoints/{trial_id}"))
    found = (re.fullmatch(r"step=(\d+)-(\w+)\.safetensors", name) for name in names)
    return sorted((int(match[1]), match[2]) for match in found if match)


def decoder_key(key: str) -> str:
    return f"decoders/{key}.safetensors"


def table_prefix(table: str, sweep: str | None = None) -> str:
    """Parts of a table; without a sweep, of all."""
    return f"tables/{table}/sweep={sweep}" if sweep else f"tables/{table}"


def table_key(table: str, sweep: str, part: str) -> str:
    return f"{table_prefix(table, sweep)}/{part}.parquet"


def sweep_prefix(sweep: str) -> str:
    """The manifest of a sweep."""
    return f"sweeps/{sweep}"


def sweep_key(sweep: str, part: str) -> str:
    """A part of a sweep's manifest."""
    return f"{sweep_prefix(sweep)}/{part}.json"


def progress_prefix(sweep: str) -> str:
    """What the drivers of a sweep that run say of themselves."""
    return f"progress/{sweep}"


def progress_key(sweep: str, driver: str) -> str:
    return f"{progress_prefix(sweep)}/{driver}.json"


def origins_prefix(sweep: str) -> str:
    """On what the trials of a sweep were trained here."""
    return f"origins/{sweep}"


def imports_prefix(sweep: str = "") -> str:
    """What was imported into a sweep; without a name, into any."""
    return f"imports/{sweep}" if sweep else "imports"


def figures_prefix(sweep: str) -> str:
    """Figures that are about the whole sweep, and its report."""
    return f"figures/{sweep}"


def boundary_prefix(name: str) -> str:
    """What a boundary search found; apart from the figures of sweeps: each of its rounds deletes
    those, and a kill would leave none."""
    return f"boundaries/{name}"


def outbox_prefix(sweep: str, name: str = "") -> str:
    """What MLflow lacks of a sweep; with a name, of a trial or of the sweep itself."""
    return f"outbox/{sweep}/{name}" if name else f"outbox/{sweep}"


def outbox_key(sweep: str, name: str, token: str) -> str:
    """One mark. No two have a token in common, so that deleting one deletes no other."""
    return f"{outbox_prefix(sweep, name)}/{token}"


def outbox_names(store: Store, sweep: str) -> list[str]:
    """Trials, and perhaps the sweep itself, of which MLflow lacks something."""
    return sorted({key.split("/")[2] for key in store.list(outbox_prefix(sweep))})
