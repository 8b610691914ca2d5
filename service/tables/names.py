"""Names that tell trials apart: exact values, the fields that vary, a trial in a few words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from grokmodel.configs import AXES
from grokmodel.core.config import FIRST_FAMILY, Config
from grokmodel.core.fields import fields_of
from grokmodel.data.names import GLYPHS
from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from service.store.manifest import read_manifest
from service.store.store import Store
from service.text import config_value

MAIN = {"P": "P", "N": "N", "width": "w", "weight_decay": "wd", "train_fraction": "R"}
"""Main settings -> what they are called in names; other fields by their own."""
SCRIPT = "python sweeps/grok_phase.py"
LONGEST = 250
"""Characters of a name, at most: what MLflow's databases hold."""
MOST_LISTED = 12
"""Values of an axis that are listed; of more numbers the lowest, the highest and how many."""


def distinct(values: Sequence[Any], digits: int = 6) -> list[str]:
    """Texts of an axis's values: of so many significant digits, or of more where it takes more to
    tell them apart."""
    for count in range(digits, 18):
        texts = [f"{v:.{count}g}" if isinstance(v, float) else str(v) for v in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [config_value(value) for value in values]


def varied_fields(trials: pd.DataFrame) -> list[str]:
    """Config columns with more than one value, seeds apart; a token as large as its image does not
    count beside the image."""
    known = [name for name in AXES if name in trials]
    follows = "patch" in trials and (trials["patch"] == trials["side"]).all()
    silent = {"seed", "patch"} if follows else {"seed"}
    return [name for name in known if name not in silent and trials[name].nunique() > 1]


def sweep_axes(store: Store, sweep: str) -> dict[str, str]:
    """The axes of all trials that a sweep was asked for."""
    manifest = read_manifest(store, sweep)
    return axes_of(manifest.trials.values() if manifest else ())


def axes_of(configs: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The fields that vary among trials, and their values in words; seeds, if there are several,
    last."""
    trials = pd.DataFrame(configs, columns=list(AXES))
    axes = varied_fields(trials) + ["seed"] * (trials["seed"].nunique() > 1)
    # what a family does not have is null in its trials
    return {name: values_in_words(trials[name].dropna().unique().tolist()) for name in axes}


def values_in_words(values: Iterable[Any]) -> str:
    """`0, 1, 3`, or `0.1 to 30 (57 values)`."""
    known = sorted(values)
    texts = [config_value(value) for value in known]
    if len(known) <= MOST_LISTED or isinstance(known[0], str):
        return ", ".join(texts)
    return f"{texts[0]} to {texts[-1]} ({len(known)} values)"


def changed_fields(config: Config) -> dict[str, Any]:
    """The least fields that make the config from the defaults of its family; its images apart."""
    kind, fields = type(config), fields_of(type(config))
    values = {name: value for name, value in config.to_dict().items() if fields[name].is_axis}
    kept = {name: v for name, v in values.items() if v != fields[name].default}
    same = config.with_images("") if isinstance(config, TrialConfig) else config
    for name in list(kept):
        rest = {other: value for other, value in kept.items() if other != name}
        try:
            if kind(**rest) == same:
                kept = rest
        except ConfigError:  # it needs this field
            continue
    return kept


def train_command(config: Config, sweep: str, data_root: str = "") -> str:
    """The command that trains a trial again, in a store of its own: where it is done, it is not."""
    words = ["--name", sweep, "--store", "again"]
    if config.family != FIRST_FAMILY:
        words += ["--family", config.family]
    if isinstance(config, TrialConfig) and config.data != GLYPHS:
        words += ["--data-root", data_root or "DIR"]
    for name, value in changed_fields(config).items():
        words += [f"--{name.replace('_', '-')}", config_value(value)]
    return f"{SCRIPT} {shlex.join(words)}"


def trial_name(config: Config, axes: Iterable[str]) -> str:
    """Short name for people: what varies, then the seed, such as `wd3 R0.8 lr=0.002 s1`. Where
    nothing but the seed varies, the seed and the main settings: `s1 P23 N1 w128 wd3 R0.8`.

    Args:
        axes: fields that vary in the sweep; two trials that differ in these or in the seed differ
            in their names, also when more fields vary later.
    """
    varied = set(axes) - {"seed"}
    values = {name: config_value(value) for name, value in config.to_dict().items()}
    main = {field: f"{short}{values[field]}" for field, short in MAIN.items() if field in values}
    parts = [text for field, text in main.items() if field in varied]
    others = [field for field in AXES if field in varied - MAIN.keys() and field in values]
    parts += [f"{field}={values[field]}" for field in others]
    seed = f"s{values['seed']}"
    name = " ".join([*parts, seed] if parts else [seed, *main.values()])
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - len(config.trial_id) - 2]}… {config.trial_id}"
