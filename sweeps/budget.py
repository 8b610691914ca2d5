"""Which scale of each experiment a budget pays for: by measured cost, the same every time.

What a step costs is measured once a store and kept there: the same command makes the same choice
again, also when the machine is busier than it was, and after an interruption. So a scale costs what
it costs from the start: were finished trials free, a budget would buy more each time it is given,
and what it has bought would depend on where it was interrupted. Trials of the repository's bundles
are free, as they are there whatever was interrupted.
"""

from __future__ import annotations

import heapq
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass

import torch

from grokmodel.core.config import Config
from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import needs_training
from grokmodel.image.pack import bank_key
from grokmodel.image.shape import PackShape
from service.schedule import pack_size
from service.schedule.plan import Plan, Resources, pack
from service.store.store import Store
from service.text import duration
from sweeps.bundled import NO_BUNDLES, Bundled
from sweeps.paper import Experiment, Scale

log = logging.getLogger("grok")

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
OVERHEAD_S = 40.0
"""A sweep's start, figures and report."""
DECODER_S = 240.0
"""To train the decoder of a bank with several images per symbol: two to six minutes for EMNIST at
side 16 on a core (docs/diverse.md). Banks take their turns."""
EFFICIENCY = 4.0
"""A larger shape may be this many times cheaper a weight than a smaller one: bounds a guess."""
COSTS_KEY = "reproduction/costs.json"
LEVEL_ROWS = 51 * 300 * 26
"""Rows that the analysis `timesteps` samples: levels, pairs, Euler steps on average."""
GRID_ROWS = 51 * 2 + 25
"""Passes over all P² pairs: entropies by level, spectra, identities, heads."""

Lacking = Callable[[Scale], str]


@dataclass(frozen=True)
class Choice:
    """What becomes of one experiment."""

    experiment: Experiment
    scale: Scale | None
    """None: it is not run."""
    seconds: float
    """Estimated, with what is done already."""
    reason: str = ""
    """Why it is not run, or not larger; empty where it is run in full."""


def parse_budget(text: str) -> float:
    """Seconds of `90s`, `20m`, `2h` or `3d`.

    Raises:
        ConfigError: it is something else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    seconds = float(match[1]) * UNITS_S[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise ConfigError("--budget", text, "a time such as 90s, 20m, 2h or 3d")
    return seconds


def choose(
    experiments: Sequence[Experiment],
    budget_s: float,
    costs: Costs,
    lacking: Lacking,
    bundles: Bundled = NO_BUNDLES,
) -> list[Choice]:
    """The scale of each experiment that a budget pays for.

    Scales are taken up one after the other, the cheapest for its weight first, until the next one
    would go beyond the budget. That order does not depend on the budget, so more time never makes
    an experiment smaller.

    Args:
        lacking: why a scale cannot be run here at all, such as data that are not there; or nothing.
        bundles: what they have is not run smaller.
    """
    possible = {e.name: possible_scales(e, lacking, bundles) for e in experiments}
    taken: dict[str, tuple[Scale, float]] = {}
    queue: list[tuple[float, int, bool, int]] = []  # cost a weight, experiment, measured?, scale

    def offer(i: int, k: int, measured: bool) -> None:
        if k < len(scales := possible[experiments[i].name]):
            ask = costs.of if measured else costs.at_least
            heapq.heappush(queue, (ask(scales[k]) / experiments[i].weight, i, measured, k))

    for i in range(len(experiments)):
        offer(i, 0, measured=False)
    while queue:
        ratio, i, measured, k = heapq.heappop(queue)
        name, seconds = experiments[i].name, ratio * experiments[i].weight
        others = sum(cost for other, (_, cost) in taken.items() if other != name)
        if others + seconds > budget_s:
            break
        if measured:
            taken[name] = (possible[name][k], seconds)
        offer(i, k + measured, measured=not measured)
    return [_choice(e, possible[e.name], taken.get(e.name), costs, lacking) for e in experiments]


def possible_scales(
    experiment: Experiment, lacking: Lacking, bundles: Bundled = NO_BUNDLES
) -> list[Scale]:
    """Those whose data are there, the smallest first; stand-ins only if there is nothing else, and
    none that is smaller than what the bundles have."""
    found = [scale for scale in reversed(experiment.scales) if not lacking(scale)]
    found = [scale for scale in found if not scale.stand_in] or found
    return found[max((i for i, scale in enumerate(found) if bundles.has(scale)), default=0) :]


def _choice(
    experiment: Experiment,
    possible: Sequence[Scale],
    taken: tuple[Scale, float] | None,
    costs: Costs,
    lacking: Lacking,
) -> Choice:
    """With the reason why it is not larger."""
    scale, seconds = taken or (None, 0.0)
    rest = possible[possible.index(scale) + 1 :] if scale else possible
    why = lacking(experiment.scales[0])
    if rest:
        more = duration(costs.at_least(rest[0]))
        why = f"the budget ends before {rest[0].name}, {more} or more"
    return Choice(experiment, scale, seconds, why)


class Costs:
    """Seconds a step and member of every shape, measured when asked for and kept in the store."""

    def __init__(
        self,
        store: Store,
        data_root: str,
        resources: Resources,
        bundles: Bundled = NO_BUNDLES,
    ) -> None:
        self.store, self.data_root, self.resources = store, data_root, resources
        self.free = bundles.trial_ids
        self.kind = f"{resources.kind} {pack_size.this_device()}"
        self.known = _known_costs(store)

    def of(self, scale: Scale) -> float:
        """Wall seconds, by what its shapes take here."""
        return self._wall(self._paid(scale), self._measured(scale))

    def at_least(self, scale: Scale) -> float:
        """A lower bound that needs no measurement, by what is known of its shapes, or of others."""
        return self._wall(self._paid(scale), self._at_least(scale))

    def left(self, scale: Scale, done: Set[str]) -> float:
        """Of what `of` says, the part of the trials that are not done."""
        todo = [c for c in self._paid(scale) if c.trial_id not in done]
        return self._wall(todo, self._measured(scale)) if todo else 0.0

    def _paid(self, scale: Scale) -> list[TrialConfig]:
        return [c for c in scale.configs if c.trial_id not in self.free]

    def _wall(self, configs: Sequence[TrialConfig], seconds: Mapping[PackShape, float]) -> float:
        if not configs:
            return 0.0
        work = [equivalent_steps(c) * seconds[c.shape] for c in configs]
        banks = {bank_key(c) for c in configs if needs_training(c.N)}
        training = max([sum(work) / self.resources.slots, *work])
        return training + OVERHEAD_S + DECODER_S * len(banks)

    def _at_least(self, scale: Scale) -> dict[PackShape, float]:
        """What is known of each shape, or what the cheapest known one suggests."""
        mine = [v for k, v in self.known.items() if k.startswith(f"per weight, {self.kind}")]
        guess = min(mine, default=0.0) / EFFICIENCY
        return {
            config.shape: self.known.get(self._name(config.shape, trials), guess * config.cost)
            for config, trials in _shapes(self._paid(scale))
        }

    def _measured(self, scale: Scale) -> dict[PackShape, float]:
        found = {}
        for config, trials in _shapes(self._paid(scale)):
            name = self._name(config.shape, trials)
            if name not in self.known:
                self.known[name] = self._measure(config, trials)
                self.known[f"per weight, {self.kind}, {name}"] = self.known[name] / config.cost
                data = json.dumps(self.known, indent=1, sort_keys=True)
                self.store.put(COSTS_KEY, data.encode())
            found[config.shape] = self.known[name]
        return found

    def _measure(self, config: TrialConfig, trials: int) -> float:
        """In a pack as large as that many trials make."""
        torch.set_num_threads(max(1, int(self.resources.cpus)))
        members: tuple[Config, ...] = (config,)
        if self.resources.gpus:  # members are nearly free there, if there are any
            most = pack_size.most_members_here([config], self.data_root)
            members = pack([config] * trials, self.resources, most)[0]
        plan = Plan("", members, (), (), (members,))
        return pack_size.step_seconds(plan, self.data_root)[config.shape]

    def _name(self, shape: PackShape, trials: int) -> str:
        """On a CPU members cost their full time, so that their number tells nothing."""
        many = f", {trials} trials" if self.resources.gpus else ""
        return f"{self.kind}{many}: {json.dumps(asdict(shape), sort_keys=True)}"


def _known_costs(store: Store) -> dict[str, float]:
    """What was measured before; nothing if that is damaged, as it can be measured again."""
    data = store.get_or_none(COSTS_KEY)
    try:
        known = json.loads(data) if data is not None else {}
        if all(type(value) is float and 0 < value < math.inf for value in known.values()):
            return dict(known)
    except (ValueError, AttributeError):
        pass
    log.warning("measuring costs again: %s is damaged", store.uri(COSTS_KEY))
    return {}


def _shapes(configs: Sequence[TrialConfig]) -> list[tuple[TrialConfig, int]]:
    """A trial of each shape, and how many there are."""
    counts = Counter(c.shape for c in configs)
    firsts = {c.shape: c for c in reversed(configs)}
    return [(firsts[shape], count) for shape, count in counts.items()]


def equivalent_steps(config: TrialConfig) -> float:
    """Training steps that cost as much as a trial with its evaluations and analyses: a step goes
    three times over its batch, a sample once a level."""
    evaluations = config.steps / config.eval_every + config.final_sample_steps / config.sample_steps
    rows = evaluations * 2 * config.eval_pairs * config.sample_steps
    rows += LEVEL_ROWS + GRID_ROWS * config.P**2
    return config.steps + rows / (3 * config.batch)
