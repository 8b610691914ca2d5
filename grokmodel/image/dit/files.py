"""A model as a folder in the layout of the Hugging Face hub: `config.json` and `model.safetensors`.

`config.json` says which trial it is, of which science version, and how symbols become inputs and
outputs become pixels. `model.safetensors` has the parameters by their names in the `DiT` and, under
`symbols.`, the images of the symbols with their mean and scale. They lie in the same file, as they
are small and the model is of no use without them: the folder alone draws a + b. Anything that reads
safetensors reads both; a checksum in the file's metadata tells a damaged one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from grokmodel.core import checksummed
from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.errors import ConfigError, UserError
from grokmodel.image.config import TrialConfig

FORMAT = "grok-dit-1"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
PIXELS = {
    "images": "symbols.images: (P, N, side, side), pixels in [0, 1], ink bright on black",
    "input": "(image - symbols.mean) / symbols.std",
    "output": "image = x0_hat * symbols.std + symbols.mean, cut off at 0 and 1",
}
"""For readers of a folder: where images are in it and how they are scaled."""


class ModelError(UserError, ValueError):
    """A saved model cannot be read or used. Names the file, what was found and what is needed."""


@dataclass(frozen=True)
class Saved:
    """What a folder holds."""

    config: TrialConfig
    step: int
    """Updates made."""
    labels: tuple[str, ...]
    """Of the symbols; empty if the folder has no images of them."""
    tensors: dict[str, Tensor]


def write_folder(folder: Path, saved: Saved) -> None:
    """Write a folder, each file whole or not at all.

    Raises:
        ModelError: it cannot be written.
    """
    body = {
        "architectures": ["DiT"],
        "format": FORMAT,
        "science_version": SCIENCE_VERSION,
        "trial_id": saved.config.trial_id,
        "step": saved.step,
        "trial": saved.config.to_dict(),
        "symbols": list(saved.labels),
        "pixels": PIXELS if saved.labels else {},
    }
    header = {"format": FORMAT, "science_version": SCIENCE_VERSION}
    tensors = {name: tensor.detach().cpu() for name, tensor in saved.tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / WEIGHTS, checksummed.dump(tensors, header))
        _replace(folder / CONFIG, json.dumps(body, indent=1, ensure_ascii=False).encode())
    except OSError as error:
        raise ModelError(f"{folder}: cannot write ({error.strerror}); need a folder") from error


def read_folder(folder: Path) -> Saved:
    """Inverse of `write_folder`.

    Raises:
        ModelError: a file is missing, damaged, of another format or science version.
    """
    body = _config(folder / CONFIG)
    where = folder / WEIGHTS
    data = _bytes(where)
    try:
        tensors = checksummed.load(data)
    except checksummed.DamagedError as error:
        raise ModelError(f"{where}: damaged ({error}); save the model again") from error
    try:
        config = TrialConfig.from_dict(body["trial"])
        step, labels = int(body["step"]), tuple(map(str, body["symbols"]))
        if len(labels) not in (0, config.P):
            raise ValueError(f"{len(labels)} symbols of P = {config.P}")
    except (ConfigError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / CONFIG}: damaged ({error}); save the model again") from error
    return Saved(config, step, labels, tensors)


def check_tensors(found: Mapping[str, Tensor], needed: Mapping[str, Tensor], where: str) -> None:
    """Raise a ModelError unless the tensors have the names, shapes and types that are needed."""
    kinds = [{n: (tuple(t.shape), t.dtype) for n, t in x.items()} for x in (found, needed)]
    odd = sorted(name for name in found.keys() | needed.keys()
                 if kinds[0].get(name) != kinds[1].get(name))  # fmt: skip
    if odd:
        name = odd[0]
        have, need = (kind.get(name, "no such tensor") for kind in kinds)
        raise ModelError(f"{where}: {name} is {have}; need {need} (and {len(odd) - 1} more)")


def _config(where: Path) -> dict[str, Any]:
    data = _bytes(where)
    try:
        body = json.loads(data)
        found = (body["format"], body["science_version"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"{where}: not of a grok model; need one that it saved") from error
    if found != (need := (FORMAT, SCIENCE_VERSION)):
        raise ModelError(f"{where}: format and science version {found}; need {need}")
    return dict(body)


def _bytes(where: Path) -> bytes:
    try:
        return where.read_bytes()
    except OSError as error:
        problem = f"{error.strerror or error}; need {CONFIG} and {WEIGHTS}"
        raise ModelError(f"{where}: {problem}") from error


def _replace(target: Path, data: bytes) -> None:
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        part.write_bytes(data)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
