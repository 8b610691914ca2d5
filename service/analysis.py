"""Checkpoints -> analysis rows, as Ray tasks. What has rows already is not done again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import ray
import torch

from grokmodel.analysis.activations import collect
from grokmodel.analysis.fourier import spectrum
from grokmodel.checkpoint import load_snapshot
from grokmodel.config import TrialConfig
from grokmodel.outcome import DIVERGED
from grokmodel.pack import Member, bank_key
from grokmodel.symbols import load_bank
from service import figures, storage
from service.settings import Settings
from service.storage import Store
from service.tables import Row, read_table, write_rows
from service.tracking import Tracking

SPECTRA_T = 1.0
"""Noise level of the spectra: pure noise, where the answer can come from a and b alone."""
BATCH = 8
"""Trials a task."""


def pending(store: Store, sweep: str) -> pd.DataFrame:
    """Rows of the sweep's trials without spectra; those that diverged have none to take."""
    trials = read_table(store, "trials", sweep)
    known = read_table(store, "spectra", sweep, columns=["trial_id"])["trial_id"]
    return trials[~trials["trial_id"].isin(known) & (trials["phase"] != DIVERGED)]


def analyze(
    settings: Settings, sweep: str, experiment_id: str, parent_id: str, cpus: float = 1.0
) -> Iterator[int]:
    """Fill the `spectra` of a sweep by Ray tasks; yields the number of trials of each task done."""
    todo = pending(Store(settings), sweep)
    tasks = []
    task = ray.remote(num_cpus=cpus)(spectra_task)
    for _, group in todo.groupby(["P", "width", "depth", "heads", "ffn", "variant", "side"]):
        rows = group.to_dict("records")
        for batch in _batched(rows):
            tasks.append(task.remote(settings, sweep, experiment_id, parent_id, batch))
    while tasks:
        ready, tasks = ray.wait(tasks)
        yield ray.get(ready[0])


def _batched(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for i in range(0, len(rows), BATCH):
        yield rows[i : i + BATCH]


def spectra_task(
    settings: Settings, sweep: str, experiment_id: str, parent_id: str, trials: Sequence[Row]
) -> int:
    """Spectra of some finished trials of one shape and P: table rows, and a figure for each."""
    torch.set_num_threads(1)
    store = Store(settings)
    tracking = Tracking.attach(settings.tracking_uri, experiment_id, parent_id)
    members = [load_member(store, row["trial_id"], int(row["steps_run"])) for row in trials]
    rows = spectra_rows(members, settings)
    frame = pd.DataFrame(rows)
    for row, member in zip(trials, members, strict=True):
        mine = frame[frame["trial_id"] == row["trial_id"]]
        picture = figures.spectra_bars(row, mine)
        tracking.log_files(tracking.trial_run(member.config), {"spectra.png": figures.png(picture)})
    write_rows(store, "spectra", sweep, rows)
    return len(trials)


def load_member(store: Store, trial_id: str, step: int) -> Member:
    """The trial's averaged weights at a step."""
    key = storage.snapshot_key(trial_id, step)
    return load_snapshot(store.get(key), store.uri(key))


def spectra_rows(members: Sequence[Member], settings: Settings) -> list[Row]:
    """Rows of the `spectra` table of members of one shape and P."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    banks = {bank_key(m.config): _bank(m.config, settings) for m in members}
    rows: list[Row] = []
    for member, grids in zip(members, collect(members, banks, device, SPECTRA_T), strict=True):
        for grid in grids:
            found = spectrum(grid.values)
            for i, k in enumerate(found.frequencies):
                rows.append(
                    {
                        "trial_id": member.config.trial_id,
                        "step": member.step,
                        "site": grid.site,
                        "head": grid.head,
                        "t": SPECTRA_T,
                        "frequency": int(k),
                        "fve_a": float(found.fve_a[i]),
                        "fve_b": float(found.fve_b[i]),
                        "fve_ab": float(found.fve_ab[i]),
                        "fve_cross": found.cross,
                        "is_key": int(k) in found.key_frequencies,
                        "entropy": found.entropy,
                    }
                )
    return rows


def _bank(config: TrialConfig, settings: Settings) -> Any:
    return load_bank(config.data, config.P, config.N, config.side, settings.data_root)
