"""Names that tell trials apart: exact values, the fields that vary, a trial in a few words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from grokmodel.image.config import AXES, TrialConfig
from service.store.manifest import read_manifest
from service.store.store import Store
from service.text import config_value

ALWAYS = {
    "P": "P",
    "N": "N",
    "width": "w",
    "weight_decay": "wd",
    "train_fraction": "R",
    "seed": "s",
}
"""Fields that every name has -> what they are called there."""
LONGEST = 250
"""Characters of a name, at most: what MLflow's databases hold."""


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
    silent = {"seed", "patch"} if (trials["patch"] == trials["side"]).all() else {"seed"}
    return [name for name in AXES if name not in silent and trials[name].nunique() > 1]


def sweep_axes(store: Store, sweep: str) -> tuple[str, ...]:
    """The fields that vary among all trials that a sweep was asked for."""
    manifest = read_manifest(store, sweep)
    configs = manifest.trials.values() if manifest else ()
    return tuple(varied_fields(pd.DataFrame(configs, columns=list(AXES))))


def unusual(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings of a trial those that are not as by default."""
    usual = TrialConfig(seed=values["seed"]).to_dict() | {"patch": values["side"]}
    return {name: values[name] for name in AXES if values[name] != usual[name]}


def train_command(values: Mapping[str, Any], name: str = "again") -> str:
    """The command that trains a trial with these settings, in a sweep of its own."""
    flags = [["--" + field.replace("_", "-"), _flag_value(value)]
             for field, value in (unusual(values) | {"seed": values["seed"]}).items()]  # fmt: skip
    words = ["python", "sweeps/grok_phase.py", "--name", name]
    return shlex.join([*words, *(word for flag in flags for word in flag)])


def _flag_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else config_value(value)


def trial_name(config: TrialConfig, axes: Iterable[str]) -> str:
    """Short name for people, such as `P23 N1 w128 wd3 R0.8 s0 lr=0.002`.

    Args:
        axes: fields that vary in the sweep; two trials that differ in these or in those that every
            name has differ in their names.
    """
    values = config.to_dict()
    parts = [f"{short}{config_value(values[field])}" for field, short in ALWAYS.items()]
    parts += [f"{field}={config_value(values[field])}" for field in axes if field not in ALWAYS]
    name = " ".join(parts)
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - len(config.trial_id) - 2]}… {config.trial_id}"
