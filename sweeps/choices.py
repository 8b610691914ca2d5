"""What `grok reproduce` is to run: the experiments that are meant, each at one scale, and the plan.

A budget chooses the scales, or one is named. Where data are missing there is nothing to choose.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence, Set

from grokmodel.errors import ConfigError, DataError
from grokmodel.image.config import TrialConfig
from grokmodel.image.pack import BankKey, bank_key
from service.data.banks import bank_of, bind_images
from service.settings import Settings
from service.text import duration
from sweeps.budget import Choice, Costs, Lacking, choose
from sweeps.bundled import NO_BUNDLES, Bundled
from sweeps.paper import Experiment, Scale


def asked_for(
    experiments: Sequence[Experiment], only: Sequence[str] | None, scale: str | None
) -> list[Experiment]:
    """The experiments that are meant; without names, of a scale those that have it.

    Raises:
        ConfigError: there is no such scale, or an experiment that was named does not have it.
    """
    asked = [e for e in experiments if only is None or e.name in only]
    if scale is None:
        return asked
    having = [e for e in asked if scale in scale_names([e])]
    poorest = [e for e in asked if e not in having]
    if not having or (only and poorest):
        whose = f" ({poorest[0].name} has these only)" if having else ""
        names = scale_names(poorest[:1] if having else asked)
        raise ConfigError("--scale", scale, f"one of {', '.join(names)}{whose}")
    return having


def scale_names(experiments: Sequence[Experiment]) -> list[str]:
    """Every name once, the paper's first."""
    return list(dict.fromkeys(scale.name for e in experiments for scale in e.scales))


def chosen_scales(
    experiments: Sequence[Experiment],
    size: float | str,
    costs: Costs,
    settings: Settings,
    done: Set[str] = frozenset(),
    bundles: Bundled = NO_BUNDLES,
) -> list[Choice]:
    """One scale of each experiment, or why there is none.

    Args:
        size: seconds of a budget, or the scale that was asked for.
        done: ids of the trials that have a row, or are in a bundle.
    """
    lacking = lacking_here(settings, done)
    if isinstance(size, str):
        return [_at_scale(e, size, costs, lacking) for e in experiments]
    return choose(experiments, size, costs, lacking, bundles)


def _at_scale(experiment: Experiment, name: str, costs: Costs, lacking: Lacking) -> Choice:
    scale = next(s for s in experiment.scales if s.name == name)
    if why := lacking(scale):
        return Choice(experiment, None, 0.0, why)
    reason = "" if scale is experiment.scales[0] else f"scale {name} was asked for"
    return Choice(experiment, scale, costs.of(scale), reason)


def on_images_here(
    experiments: Sequence[Experiment], settings: Settings, bundles: Bundled = NO_BUNDLES
) -> list[Experiment]:
    """The experiments with their trials on the images that are here. What is in the bundles, and
    what lacks data, is on those of the bundles; what neither has stays as it is."""

    def bound(scale: Scale) -> Scale:
        in_bundles = bundles.bind(scale)
        if bundles.has(in_bundles):
            return in_bundles
        try:
            configs = bind_images(scale.configs, settings.data_root)
        except (DataError, ConfigError):
            return in_bundles
        return dataclasses.replace(scale, bound=tuple(configs))

    return [dataclasses.replace(e, scales=tuple(map(bound, e.scales))) for e in experiments]


def lacking_here(settings: Settings, done: Set[str] = frozenset()) -> Lacking:
    """Tells why a scale cannot be run with the data that are there, or nothing; trials that are
    done need none."""

    @functools.cache
    def bank_lacks(key: BankKey) -> str:
        try:
            bank_of(key, settings.data_root)
        except (DataError, ConfigError) as error:
            return without_paths(error, settings).split(";")[0]
        return ""

    def lacking(scale: Scale) -> str:
        # of the banks of one kind the largest: to read the files takes its time
        largest: dict[str, TrialConfig] = {}
        todo = [c for c in scale.configs if c.trial_id not in done]
        for config in sorted(todo, key=lambda c: (c.P, c.N)):
            largest[config.data] = dataclasses.replace(config, side=8, patch=0, images_hash="")
        return next((why for c in largest.values() if (why := bank_lacks(bank_key(c)))), "")

    return lacking


def without_paths(error: Exception, settings: Settings) -> str:
    """A message fit for a document: one line that names no folder of ours."""
    return " ".join(str(error).split()).replace(settings.data_root, "DIR")


def plan_lines(choices: Sequence[Choice], costs: Costs, done: Set[str]) -> list[str]:
    """The plan as text, a line per experiment.

    Args:
        done: ids of the trials that have a row.
    """
    lines = [f"{'experiment':<20}{'scale':<14}{'trials':>6}{'cost':>10}{'left':>10}  remark"]
    total = rest = 0.0
    for c in choices:
        name, trials = (c.scale.name, len(c.scale.configs)) if c.scale else ("not run", 0)
        left = costs.left(c.scale, done) if c.scale else 0.0
        cost = [duration(seconds) if c.scale else "-" for seconds in (c.seconds, left)]
        lines.append(f"{c.experiment.name:<20}{name:<14}{trials:>6}{cost[0]:>10}{cost[1]:>10}"
                     f"  {c.reason}")  # fmt: skip
        total, rest = total + c.seconds, rest + left
    return [*lines, f"in all about {duration(total)}, of which {duration(rest)} are left"]
