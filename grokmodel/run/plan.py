"""A plan file: the trials of a sweep that are to be trained somewhere else, and all they need.

    plan.json                    sweep, science version, source, banks, config of every trial by id
    banks/<n>/images.npy         images that train; heldout.npy: those that never do
    banks/<n>/decoder.safetensors    what reads samples, where N > 1

It holds no time and no place: the same trials give the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokmodel.configs import config_from
from grokmodel.core import checksummed
from grokmodel.core.config import SCIENCE_VERSION, Config
from grokmodel.core.family import Inputs
from grokmodel.data.bank import SymbolBank
from grokmodel.errors import ConfigError, shown
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import CnnDecoder, Decoder, MeanDecoder, dump_decoder, load_decoder
from grokmodel.image.family import ImageInputs
from grokmodel.image.pack import BankKey, bank_key
from grokmodel.machine import source_hash
from grokmodel.run import archive
from grokmodel.run.archive import Archive, ArchiveError

FORMAT = 1
"""Raised when a plan, or results, of another make are no longer read."""
KIND = "a plan of grok_phase.py --export"
PLAN = "plan.json"


@dataclass(frozen=True)
class Outline:
    """What `plan.json` says: of a plan, and of the results that came of it."""

    sweep: str
    configs: dict[str, Config]
    """By trial id."""
    commit: str
    """Of the source that exported it."""
    sources: str
    """Hash of `grokmodel` there: see `machine.source_hash`."""
    banks: tuple[tuple[BankKey, tuple[str, ...], str], ...]
    """Key, labels and fingerprint of every image bank."""
    data: bytes
    """The whole of it."""


@dataclass(frozen=True)
class Plan:
    """A plan file in memory."""

    outline: Outline
    inputs: Inputs
    """Images and decoders of the trials that draw, or None."""

    @property
    def configs(self) -> list[Config]:
        return list(self.outline.configs.values())


def write_plan(
    path: Path,
    sweep: str,
    configs: Sequence[Config],
    inputs: ImageInputs | None,
    commit: str,
) -> int:
    """Write a plan file; returns its size.

    Raises:
        ArchiveError: it cannot be written.
    """
    banks = inputs.banks if inputs else {}
    said = {
        "format": FORMAT,
        "science_version": SCIENCE_VERSION,
        "sweep": sweep,
        "commit": commit,
        "sources": source_hash(),
        "banks": [[list(key), list(b.labels), b.fingerprint] for key, b in banks.items()],
        "trials": {c.trial_id: c.to_dict() for c in configs},
    }
    parts = {PLAN: json.dumps(said, indent=1).encode()}
    for n, (key, bank) in enumerate(banks.items()):
        parts[f"banks/{n}/images.npy"] = _npy(bank.images)
        parts[f"banks/{n}/heldout.npy"] = _npy(bank.heldout)
        decoder = inputs.decoders[key] if inputs else None
        if isinstance(decoder, CnnDecoder):
            parts[f"banks/{n}/decoder.safetensors"] = dump_decoder(decoder)
    return archive.write(path, parts)


def read_plan(path: Path) -> Plan:
    """A plan, with every part checked.

    Raises:
        ArchiveError: it is no plan, damaged, or of another version.
    """
    found = Archive(path, KIND)
    outline = outline_of(found)
    banks: dict[BankKey, SymbolBank] = {}
    decoders: dict[BankKey, Decoder] = {}
    for n, (key, labels, fingerprint) in enumerate(outline.banks):
        _, P, N, side, *_ = key
        images = _array(found, f"banks/{n}/images.npy", (P, N, side, side))
        heldout = _array(found, f"banks/{n}/heldout.npy", (P, None, side, side))
        # its decoder is there, so there is no need of more images to train one
        bank = banks[key] = SymbolBank(images, heldout, images, labels, fingerprint)
        decoders[key] = MeanDecoder(bank) if N == 1 else _decoder(found, n, P, side)
    drawing = {i: c for i, c in outline.configs.items() if isinstance(c, TrialConfig)}
    if lacking := [i for i, c in drawing.items() if bank_key(c) not in banks]:
        raise found.damaged(PLAN, f"no image bank for trial {lacking[0]}")
    return Plan(outline, ImageInputs(banks, decoders) if banks else None)


def outline_of(found: Archive) -> Outline:
    """What the `plan.json` of a file says.

    Raises:
        ArchiveError: it is missing, damaged, or of another version.
    """
    data = found.read(PLAN)
    try:
        said = json.loads(data)
        versions = (said["format"], said["science_version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise found.damaged(PLAN, f"{type(error).__name__}: {error}") from error
    if versions != (need := (FORMAT, SCIENCE_VERSION)):
        problem = f"format and science version {shown(versions)}; need {need}: results of another"
        raise ArchiveError(found.path, f"{problem} are no results of this one")
    try:
        texts = [str(said[name]) for name in ("sweep", "commit", "sources")]
        banks = tuple((_key(*k), tuple(map(str, labels)), str(f)) for k, labels, f in said["banks"])
        configs = {i: config_from(values) for i, values in said["trials"].items()}
    except ConfigError as error:
        raise found.damaged(PLAN, error) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise found.damaged(PLAN, f"{type(error).__name__}: {error}") from error
    if odd := [i for i, config in configs.items() if config.trial_id != i]:
        problem = f"trial {shown(odd[0])} has the config of {configs[odd[0]].trial_id}"
        raise found.damaged(PLAN, problem)
    sweep, commit, sources = texts
    return Outline(sweep, configs, commit, sources, banks, data)


def _key(data: str, P: int, N: int, side: int, alphabet: str, images_hash: str) -> BankKey:
    return (str(data), int(P), int(N), int(side), str(alphabet), str(images_hash))


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _array(found: Archive, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    data = found.read(name)
    try:
        array: np.ndarray = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, MemoryError) as error:
        raise found.damaged(name, error) from error
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape))
    if not fits or array.dtype != np.float32:
        raise found.damaged(name, f"{array.dtype} of shape {array.shape}; need float32 of {shape}")
    return array


def _decoder(found: Archive, n: int, P: int, side: int) -> CnnDecoder:
    name = f"banks/{n}/decoder.safetensors"
    try:
        return load_decoder(found.read(name), P, side)
    except checksummed.DamagedError as error:
        raise found.damaged(name, error) from error
