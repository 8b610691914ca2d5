"""Decoders in the store: each is trained once, before any trial that needs it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import ray
import torch

from grokmodel.core import checksummed
from grokmodel.data.bank import SymbolBank
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import (
    Decoder,
    MeanDecoder,
    decoder_key,
    dump_decoder,
    load_decoder,
    needs_training,
    train_decoder,
)
from grokmodel.image.pack import BankKey, bank_key
from service.data.banks import bank_of
from service.ray_tasks import results
from service.settings import Settings
from service.store import keys
from service.store.store import Store

log = logging.getLogger("grok")


def prepare_decoders(configs: Sequence[TrialConfig], settings: Settings) -> None:
    """Train the decoders that the trials need and the store does not have, as Ray tasks.

    Raises:
        DecoderError: no decoder of a bank is good enough; before any trial is trained.
    """
    banks = {bank_key(c): None for c in configs if needs_training(c.N)}
    task = ray.remote(num_cpus=1)(_prepare)
    results([task.remote(key, settings) for key in banks])


def get_decoder(store: Store, key: BankKey, bank: SymbolBank) -> Decoder:
    """The bank's decoder: the nearest image, or the CNN from the store, trained if need be."""
    _, P, N, side, *_ = key
    if not needs_training(N):
        return MeanDecoder(bank)
    path = keys.decoder_key(decoder_key(bank))
    data = store.get_or_none(path)
    if data is not None:
        try:
            return load_decoder(data, P, side)
        except checksummed.DamagedError as error:
            log.warning("training a decoder again: %s: damaged (%s)", store.uri(path), error)
    model = train_decoder(bank)
    store.put(path, dump_decoder(model))
    return model


def _prepare(key: BankKey, settings: Settings) -> None:
    torch.set_num_threads(1)
    get_decoder(Store(settings), key, bank_of(key, settings.data_root))
