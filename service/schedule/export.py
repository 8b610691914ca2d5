"""A sweep as a plan file, to be trained where there is neither Ray nor this store."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from grokmodel.core.config import Config
from grokmodel.run.plan import write_plan
from service.data.inputs import inputs_of
from service.provenance import git_commit
from service.schedule.plan import left_to_train
from service.settings import Settings
from service.store.manifest import checked_name
from service.store.store import Store
from service.text import byte_size, count, grok_command


def export_plan(path: Path, sweep: str, configs: Sequence[Config], settings: Settings) -> str:
    """Write the plan file of what is left to train; returns what there is to say.

    Decoders that the store lacks are trained, and stay in it.

    Args:
        configs: bound to their images.

    Raises:
        ArchiveError: the file cannot be written.
        DecoderError: no decoder of a bank is good enough.
        StoreError, TableError: the store cannot be used.
    """
    store = Store(settings)
    checked_name(sweep, store)
    todo = left_to_train(store, sweep, configs)
    done = len(configs) - len(todo)
    if not todo:
        return f"sweep {sweep}: all {count(done, 'trial')} are done already; no plan is written"
    inputs = inputs_of(todo, store, settings.data_root)
    banks = inputs.banks if inputs else {}
    size = write_plan(path, sweep, todo, inputs, git_commit())
    shapes = count(len({c.shape for c in todo}), "pack shape")
    out = shlex.quote(f"{sweep}-results")
    return "\n".join([
        f"sweep {sweep}: {count(len(configs), 'trial')}, {done} done already",
        f"{path}: {count(len(todo), 'trial')} of {shapes}, "
        f"{count(len(banks), 'image bank')}, {byte_size(size)}",
        "where it is to be trained, in a copy of this source with torch, numpy and safetensors:",
        f"    python -m grokmodel.run {shlex.quote(path.name)} --out {out}",
        "then here:",
        f"    {grok_command(settings.store, 'import-results', f'{sweep}-results')}",
    ])  # fmt: skip
