"""What packs of each family need besides their members: images and decoders, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grokmodel.core.config import Config
from grokmodel.core.family import Inputs
from grokmodel.image.config import TrialConfig
from service.data.banks import bank_of, bind_images
from service.data.decoders import get_decoder, prepare_decoders
from service.settings import Settings
from service.store.store import Store


def bind(configs: Sequence[Config], data_root: str) -> list[Config]:
    """The same trials on the data that are here: files are part of a trial.

    Raises:
        DataError, ConfigError: data are missing, damaged or not those that a trial had.
    """
    bound = iter(bind_images(of_images(configs), data_root))
    return [next(bound) if isinstance(c, TrialConfig) else c for c in configs]


def prepare(configs: Sequence[Config], settings: Settings) -> None:
    """Make once, before any trial that needs it, what takes long to make.

    Raises:
        DecoderError: no decoder of a bank is good enough.
    """
    prepare_decoders(of_images(configs), settings)


def inputs_of(configs: Sequence[Config], store: Store, data_root: str) -> Inputs:
    """What trials of one family need, decoders among it.

    Raises:
        DataError, ConfigError: see `bind`.
        DecoderError: no decoder of a bank is good enough.
    """
    return _inputs(configs, data_root, lambda key, bank: get_decoder(store, key, bank))


def inputs_of_steps(configs: Sequence[Config], data_root: str) -> Inputs:
    """The same without what only evaluations need."""
    return _inputs(configs, data_root, None)


def _inputs(
    configs: Sequence[Config], data_root: str, decoder: Callable[..., Any] | None
) -> Inputs:
    images = of_images(configs)
    if not images:
        return None
    from grokmodel.image.family import ImageInputs  # torch: only when it is needed
    from grokmodel.image.pack import bank_key

    banks = {key: bank_of(key, data_root) for key in dict.fromkeys(map(bank_key, images))}
    decoders = {key: decoder(key, bank) for key, bank in banks.items()} if decoder else {}
    return ImageInputs(banks, decoders)


def of_images(configs: Sequence[Config]) -> list[TrialConfig]:
    """Those that draw images."""
    return [config for config in configs if isinstance(config, TrialConfig)]
