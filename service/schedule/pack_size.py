"""How large packs should be and what their steps cost: measured where they will run."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial

import torch

from grokmodel.core.config import Config
from grokmodel.core.execution import AUTO, COMPILED, default_mode
from grokmodel.core.pack_size import Measured, best_size, measure_pack
from grokmodel.families import family_of
from service.data.inputs import inputs_of_steps
from service.schedule.plan import MAX_MEMBERS, Plan


def most_members(configs: Sequence[Config], data_root: str) -> dict[Hashable, int]:
    """Members of the best pack of each config's shape, measured by a Ray task that holds a GPU."""
    import ray  # a dry run needs none

    from service.ray_tasks import results

    task = ray.remote(num_cpus=1, num_gpus=1)(most_members_here)
    (found,) = results([task.remote(list(configs), data_root)])
    return dict(found)


def most_members_here(configs: Sequence[Config], data_root: str) -> dict[Hashable, int]:
    """The same, measured on this machine's GPU (on its CPU if there is none)."""
    device = this_device()
    free = torch.cuda.mem_get_info()[0] if device.type == "cuda" else float("inf")
    most = MAX_MEMBERS["gpu"]
    return {
        config.shape: best_size(partial(_measure, config, data_root), most, free).members
        for config in configs
    }


def step_seconds(plan: Plan, data_root: str) -> dict[Hashable, float]:
    """Seconds per step and member of every shape of a plan, measured on a pack as large as its
    first."""
    firsts: dict[Hashable, tuple[Config, ...]] = {}
    for members in plan.packs:
        firsts.setdefault(members[0].shape, members)
    return {
        shape: 1.0 / _measure(members[0], data_root, len(members)).rate
        for shape, members in firsts.items()
    }


def in_bfloat16(plan: Plan, seconds: Mapping[Hashable, float], data_root: str) -> float | None:
    """How many times faster the first shape would be in bfloat16; None if it is already."""
    if not plan.packs:
        return None
    config, members = plan.packs[0][0], len(plan.packs[0])
    if getattr(config, "precision", "bfloat16") == "bfloat16":
        return None  # or it has no choice
    rounded = type(config).from_dict(config.to_dict() | {"precision": "bfloat16"})
    return seconds[config.shape] * _measure(rounded, data_root, members).rate


def compiled_packs(plan: Plan, program: str, on_gpu: bool) -> int:
    """Packs of a plan whose steps are compiled, judged by this machine's compiler."""
    device = torch.device("cuda" if on_gpu else "cpu")
    modes = [default_mode(device, pack) if program == AUTO else program for pack in plan.packs]
    return modes.count(COMPILED)


def program_note(plan: Plan, program: str, on_gpu: bool) -> str:
    """What there is to say of it in a plan's line, or nothing."""
    some = compiled_packs(plan, program, on_gpu)
    of = "" if some == len(plan.packs) else f" {some} of them"
    return f",{of} compiled first, which takes about a minute" if some else ""


def this_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _measure(config: Config, data_root: str, members: int) -> Measured:
    device = this_device()
    inputs = inputs_of_steps([config], data_root)
    return measure_pack(family_of(config), config, inputs, device, members, default_mode(device))
