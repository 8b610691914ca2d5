"""Banks of a process, each loaded once; and the binding of trials to the images that are there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from grokmodel.data.bank import SymbolBank
from grokmodel.data.load import load_bank
from grokmodel.image.config import TrialConfig
from grokmodel.image.pack import BankKey, bank_key

KEPT = 8
"""Banks that a process remembers: those of the packs and analyses that it is at."""


@lru_cache(maxsize=KEPT)
def bank_of(key: BankKey, data_root: str) -> SymbolBank:
    """The image bank of trials.

    Raises:
        DataError: a data file is missing or damaged, or holds other images than the trials had.
        ConfigError: the data have too few classes or images.
    """
    return load_bank(*key, root=data_root)


def bind_images(configs: Iterable[TrialConfig], data_root: str) -> list[TrialConfig]:
    """The same trials on the images that their data sets hold here: files are part of a trial.

    Raises:
        DataError, ConfigError: see `bank_of`.
    """
    hashes: dict[BankKey, str] = {}
    bound = []
    for config in configs:
        key = bank_key(config)
        if key not in hashes:
            hashes[key] = bank_of(key, data_root).fingerprint
        bound.append(config.with_images(hashes[key]))
    return bound
