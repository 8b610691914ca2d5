"""The families of trials by their configs: what can be asked for, without torch.

Uses: core, and the config of every family. Used by: whoever has a config as text, a row or flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grokmodel.core.config import FIRST_FAMILY, Config
from grokmodel.core.fields import Field, fields_of
from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from grokmodel.parity.config import ParityConfig
from grokmodel.rules.config import RulesConfig
from grokmodel.tokens.config import TokensConfig

CONFIGS: dict[str, type[Config]] = {
    "image": TrialConfig,
    "tokens": TokensConfig,
    "parity": ParityConfig,
    "rules": RulesConfig,
}
"""Config class by the name of its family."""


def _all_fields() -> dict[str, Field]:
    found: dict[str, Field] = {}
    for kind in CONFIGS.values():
        for name, field in fields_of(kind).items():
            if found.setdefault(name, field).type is not field.type:
                raise TypeError(f"{kind.__name__}.{name}: of another type than in another family")
    return found


FIELDS = _all_fields()
"""Name -> declaration of the fields of all families; that of the first that has it."""
AXES = {name: field for name, field in FIELDS.items() if field.is_axis}
"""Those that users may set: the axes of sweeps."""


def config_class(family: str) -> type[Config]:
    """The config of a family.

    Raises:
        ConfigError: there is no such family.
    """
    if family not in CONFIGS:
        raise ConfigError("family", family, f"one of {', '.join(CONFIGS)}")
    return CONFIGS[family]


def config_from(values: Mapping[str, Any]) -> Config:
    """A config from its fields; a field that is missing has its default.

    Raises:
        ConfigError: a value is not allowed, or a key is no field of the family.
    """
    return config_class(values.get("family", FIRST_FAMILY)).from_dict(values)


def config_of(row: Mapping[str, Any]) -> Config:
    """The config of a row that has a column per field of all families."""
    kind = config_class(row["family"])
    return kind.from_dict({name: row[name] for name in fields_of(kind)})
