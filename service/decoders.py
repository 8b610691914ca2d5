"""Decoders in the store: each is trained once, before any trial that needs it."""

from __future__ import annotations

from collections.abc import Sequence

import ray
import torch
from safetensors.torch import load, save

from grokmodel.config import TrialConfig
from grokmodel.decoder import (
    CnnDecoder,
    Decoder,
    TemplateDecoder,
    decoder_key,
    needs_training,
    train_decoder,
)
from grokmodel.pack import BankKey, bank_key
from grokmodel.symbols import SymbolBank, load_bank
from service import storage
from service.settings import Settings
from service.storage import Store


def prepare_decoders(configs: Sequence[TrialConfig], settings: Settings) -> None:
    """Train the decoders that the trials need and the store does not have, as Ray tasks.

    Raises:
        DecoderError: no decoder of a bank is good enough; before any trial is trained.
    """
    keys = {bank_key(c): None for c in configs if needs_training(c.N)}
    task = ray.remote(num_cpus=1)(_prepare)
    ray.get([task.remote(key, settings) for key in keys])


def get_decoder(store: Store, key: BankKey, bank: SymbolBank) -> Decoder:
    """The bank's decoder: a template match, or the CNN from the store, trained if need be."""
    _, P, N, side = key
    if not needs_training(N):
        return TemplateDecoder(bank)
    path = storage.decoder_key(decoder_key(bank))
    data = store.get_or_none(path)
    if data is None:
        model = train_decoder(bank)
        store.put(path, save(model.state_dict()))
        return model
    model = CnnDecoder(P, side)
    model.load_state_dict(load(data))
    return model.eval()


def _prepare(key: BankKey, settings: Settings) -> None:
    torch.set_num_threads(1)
    get_decoder(Store(settings), key, load_bank(*key, root=settings.data_root))
