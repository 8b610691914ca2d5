"""Before anything starts: are the data there, what would be done, and what would it cost?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import partial

import torch

from grokmodel.core.config import Config
from grokmodel.core.outcome import HELD_FOR
from service.data import inputs
from service.schedule import pack_size
from service.schedule.plan import Plan, Resources, cost, make_plan
from service.schedule.space import bytes_needed
from service.settings import Settings
from service.store.store import Store
from service.text import byte_size, config_value, duration

FEW_STRICT = 10
"""Fewer strict pairs than this tell little."""
OF_SPLIT = ("P", "train_fraction", "seed")
"""Fields that tell which pairs are strict."""
WORTH_SAYING = 1.15
"""Gain by bfloat16 from which a dry run mentions it."""


def check_data(configs: Sequence[Config], settings: Settings) -> tuple[list[Config], str]:
    """Load every bank and make every split once.

    Returns:
        The trials on the images that are there, and what to warn of, or "".

    Raises:
        DataError, ConfigError: the first config whose data are missing or too small.
    """
    configs = inputs.bind(configs, settings.data_root)
    strict = {config: config.strict_evaluated() for config in configs}
    untold = [config for config, n in strict.items() if n == 0]
    few = [config for config, n in strict.items() if n and n < FEW_STRICT]
    brief = [config for config in configs if config.steps // config.eval_every < HELD_FOR]
    of_all = f"of {len(configs)} trials"
    warnings = []
    if untold:
        warnings.append(
            f"{len(untold)} {of_all} evaluate no strict pair ({_which(untold)}), so their phase is "
            "at most memorization, whatever they learn; a lower --train-fraction, --split "
            "unordered or other seeds give them some"
        )
    if few:
        warnings.append(
            f"{len(few)} {of_all} evaluate fewer than {FEW_STRICT} strict pairs ({_which(few)}): "
            "each weighs much in their phase; a lower --train-fraction gives more"
        )
    if brief:
        warnings.append(
            f"{len(brief)} {of_all} have fewer than {HELD_FOR} evaluations ({_which(brief)}), and "
            f"learned is 0.95 in {HELD_FOR} in a row: take a smaller --eval-every"
        )
    return configs, "\n".join(f"warning: {text}" for text in warnings)


def _which(configs: Sequence[Config]) -> str:
    """The first of them, each split once."""
    all_values = (c.to_dict() for c in configs)
    names = list(dict.fromkeys(
        ", ".join(f"{k} = {config_value(values[k])}" for k in OF_SPLIT if k in values)
        for values in all_values
    ))  # fmt: skip
    return "; ".join(names[:3]) + "; ..." * (len(names) > 3)


def dry_run(sweep: str, configs: Sequence[Config], settings: Settings) -> str:
    """The plan as text: trials, done, packs, resources and cost by a short measured calibration."""

    measure = partial(pack_size.most_members_here, data_root=settings.data_root)
    resources = local_resources()
    torch.set_num_threads(max(1, int(resources.cpus)))
    store = Store(settings)
    plan = make_plan(store, sweep, configs, resources, measure)
    seconds = pack_size.step_seconds(plan, settings.data_root)
    lines = [
        f"sweep {sweep} in {settings.store}",
        f"  trials        {len(plan.configs)}",
        f"  done          {len(plan.done)} (and {len(plan.shared)} by other sweeps)",
        f"  to train      {len(plan.todo)} in {len(plan.packs)} packs of {_sizes(plan)} members",
        f"  a pack takes  {resources}; {resources.slots} at a time here",
    ]
    for shape, value in seconds.items():
        lines.append(f"  measured      {1e3 * value:.1f} ms per step and member ({shape})")
    _, likely = bytes_needed(plan.todo)
    free = store.free_bytes()
    there = "" if free is None else f", {byte_size(free)} are free"
    lines.append(f"  disk          about {byte_size(likely)} without analyses{there}")
    wall = cost(plan, seconds, resources)
    lines.append(
        f"  cost          {duration(wall)} of training at most; settled trials stop earlier"
    )
    compiled = pack_size.compiled_packs(plan, settings.program, resources.kind == "gpu")
    if compiled:
        lines.append(
            f"  program       compiled in {compiled} of {len(plan.packs)} packs, which makes them "
            "faster than was measured"
        )
    gain = None if compiled else pack_size.in_bfloat16(plan, seconds, settings.data_root)
    if gain is not None and gain > WORTH_SAYING:
        lines.append(f"  faster        {gain:.1f} times by --precision bfloat16, measured here")
    return "\n".join(lines)


def local_resources() -> Resources:
    """What a Ray that starts on this machine would give."""
    here = {"CPU": os.cpu_count() or 1, "GPU": torch.cuda.device_count()}
    return Resources.of([here])


def _sizes(plan: Plan) -> str:
    sizes = sorted(Counter(len(pack) for pack in plan.packs))
    return "-".join(str(n) for n in sorted({*sizes[:1], *sizes[-1:]})) or "0"
