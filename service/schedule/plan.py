"""From axes to configs, from configs to packs: what is done, what is left, what it will cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grokmodel.configs import config_from
from grokmodel.core.config import Config
from grokmodel.core.packing import MOST_ON_GPU, by_shape, evenly
from grokmodel.errors import ConfigError
from service.store.heartbeat import StoppedError
from service.store.store import Store
from service.tables.reading import done_here_and_elsewhere

C = TypeVar("C")

PACKS_PER_SLOT = 4
"""CPU packs per slot: members cost their full time there, so small packs balance the load."""
FEW_MEMBERS = 4
"""Members from which on a pack on a CPU gains little more (docs/performance.md)."""
MAX_MEMBERS = {"cpu": 16, "gpu": MOST_ON_GPU}
"""Members per pack, at most. On a GPU a measurement says how many of them pay: see `pack_size`."""
MeasureMost = Callable[[Sequence[Config]], Mapping[Hashable, int]]
"""One config of each shape -> members of the best pack of that shape."""
MAX_TRIALS = 1_000_000
"""Trials per sweep: beyond it a grid is more likely a slip than a wish."""


class SweepError(RuntimeError):
    """Some trials are not done. Says how many, why, and how to go on."""


class SweepStoppedError(SweepError, StoppedError):
    """The same by Ctrl-C, which Tune takes for itself."""


@dataclass(frozen=True)
class Resources:
    """What the Ray cluster gives to packs."""

    slots: int
    """Packs that can run at a time."""
    cpus: float
    """CPUs per pack."""
    gpus: float
    """GPUs a pack: 1 or 0."""

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, float]], gpus: int | None = None) -> Resources:
        """One pack per GPU, with half of its share of a node's CPUs; without GPUs, one a CPU.

        Args:
            nodes: what each node of the cluster has, such as {"CPU": 16, "GPU": 2}.
            gpus: to count on this many, which an autoscaling cluster will come up with.
        """
        with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
        there = int(sum(node["GPU"] for node in with_gpu))
        wanted = there if gpus is None else gpus
        if wanted:
            # of the node with the fewest, so that a pack fits wherever there is a GPU
            share = min((n.get("CPU", 1) / n["GPU"] for n in with_gpu), default=1)
            return cls(slots=wanted, cpus=max(1.0, share // 2), gpus=1.0)
        cpus = int(sum(node.get("CPU", 0) for node in nodes))
        return cls(slots=max(1, cpus), cpus=1.0, gpus=0.0)

    @property
    def kind(self) -> str:
        return "gpu" if self.gpus else "cpu"

    def __str__(self) -> str:
        return f"{self.gpus:g} GPU, {self.cpus:g} CPU" if self.gpus else f"{self.cpus:g} CPU"


@dataclass(frozen=True)
class Plan:
    """What a sweep will do."""

    sweep: str
    configs: tuple[Config, ...]
    """All trials of the sweep, each once."""
    done: tuple[Config, ...]
    """Those with a row in this sweep already."""
    shared: tuple[Config, ...]
    """Those that another sweep has trained: their rows are copied, nothing is trained."""
    packs: tuple[tuple[Config, ...], ...]
    """The rest, in groups of one shape."""

    @property
    def todo(self) -> list[Config]:
        return [config for pack in self.packs for config in pack]


def expand(axes: Mapping[str, Sequence[Any]]) -> list[Any]:
    """The grid of all axes, of the family that is among them: every combination once, the last axis
    fastest.

    Raises:
        ConfigError: for the first combination that is not a valid config.
    """
    names = list(axes)
    size = math.prod(len(values) for values in axes.values())
    if size > MAX_TRIALS:
        raise ConfigError("axes", f"a grid of {size} trials", f"at most {MAX_TRIALS} trials")
    grid = itertools.product(*(axes[name] for name in names))
    configs = (config_from(dict(zip(names, values, strict=True))) for values in grid)
    return unique(configs)


def unique(configs: Iterable[C]) -> list[C]:
    """Without repetitions, in order."""
    return list(dict.fromkeys(configs))


def make_plan(
    store: Store,
    sweep: str,
    configs: Sequence[Config],
    resources: Resources,
    measure: MeasureMost | None = None,
) -> Plan:
    """Take off what is done, pack the rest.

    Args:
        measure: asked how large packs should be if they run on GPUs.
    """
    configs = unique(configs)
    here, elsewhere = done_here_and_elsewhere(store, sweep)
    done = [c for c in configs if c.trial_id in here]
    shared = [c for c in configs if c.trial_id in elsewhere]
    todo = [c for c in configs if c.trial_id not in here and c.trial_id not in elsewhere]
    one_each = list({c.shape: c for c in todo}.values())
    most = measure(one_each) if measure and resources.gpus and todo else {}
    packs = pack(todo, resources, most)
    return Plan(sweep, tuple(configs), tuple(done), tuple(shared), packs)


def left_to_train(store: Store, sweep: str, configs: Sequence[Config]) -> list[Config]:
    """Those that neither this sweep nor another has trained."""
    here, elsewhere = done_here_and_elsewhere(store, sweep)
    return [c for c in unique(configs) if c.trial_id not in here | elsewhere]


def pack(
    configs: Sequence[Config],
    resources: Resources,
    most: Mapping[Hashable, int] | None = None,
) -> tuple[tuple[Config, ...], ...]:
    """Group trials of equal shape; the longest packs come first, to leave none to the end.

    Args:
        most: members per pack of a shape, at most, where that is known.
    """
    per_slot = 1 if resources.gpus else PACKS_PER_SLOT
    balanced = math.ceil(len(configs) / (resources.slots * per_slot))
    # a CPU too is used better by a few members at a time, as long as each slot gets a pack
    balanced = max(balanced, min(FEW_MEMBERS, math.ceil(len(configs) / resources.slots)), 1)
    packs: list[tuple[Config, ...]] = []
    for shape, group in by_shape(configs).items():
        limit = (most or {}).get(shape, MAX_MEMBERS[resources.kind])
        count = math.ceil(len(group) / min(balanced, limit))
        if count > resources.slots:  # so that no slot waits for the others at the end
            count = math.ceil(count / resources.slots) * resources.slots
        packs += evenly(group, min(count, len(group)))
    return tuple(sorted(packs, key=lambda p: -sum(c.cost * c.steps for c in p)))


def cost(plan: Plan, seconds: Mapping[Hashable, float], resources: Resources) -> float:
    """Wall seconds of the plan at most: settled trials stop before their budget is spent."""
    work = [sum(c.steps * seconds[c.shape] for c in pack) for pack in plan.packs]
    return max([sum(work) / resources.slots, *work], default=0.0)
