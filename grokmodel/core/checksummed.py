"""Tensors and a JSON header as bytes with a checksum: safetensors, never pickle.

The header is the entry `grok` of safetensors' own metadata. Its `crc32` is over the rest of the
header and over name, type, shape and bytes of every tensor, so that no damage goes unnoticed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

CHECKSUM = "crc32"
MOST_SAID = 300
"""Characters of a message, which may quote the file."""


class DamagedError(ValueError):
    """The bytes are not such a file, or not as they were written. Says what is wrong."""


def dump(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    """Inverse of `load` and `header`; the header is what JSON can hold."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    sealed = {**header, CHECKSUM: _checksum(whole, header)}
    return safetensors.save(whole, {"grok": json.dumps(sealed)})


def header(data: bytes) -> dict[str, Any]:
    """The JSON header, without running anything.

    Raises:
        DamagedError: there is none.
    """
    try:
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + size].decode())["__metadata__"]
        return dict(json.loads(metadata["grok"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # not its repr, which may hold all of the bytes
        raise DamagedError(f"no header: {type(error).__name__}: {error}"[:MOST_SAID]) from error


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors.

    Raises:
        DamagedError: cut short, foreign, or changed since it was written.
    """
    try:
        tensors = safetensors.load(data)
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedError(str(error)[:MOST_SAID]) from error
    found = header(data)
    if found.pop(CHECKSUM, None) != _checksum(tensors, found):
        raise DamagedError("its checksum is wrong: the file has changed since it was written")
    return tensors


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> int:
    crc = zlib.crc32(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc
