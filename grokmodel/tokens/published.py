"""Checkpoints that others have published of this model, read as a member.

Two layouts are known, with the same names: that of the paper's own code (arXiv 2301.05217), whose
matrices are (out, in), and that of TransformerLens, whose are (in, out) with one matrix per head.
Both number the symbols from 0 and "=" with P. A file is safetensors, or a `.pth` of torch.

No pickle is executed: torch's weights-only reader builds tensors, numbers, lists and dicts, and
nothing else. Configs of TransformerLens and numbers of numpy, which such files hold beside the
weights, become objects that do nothing; a file with anything else in it is refused.

Shapes: P symbols, V = P + 1 tokens, D width, H heads, E = D / H, A = H E, F hidden units,
T = 3 tokens of a pair, O logits (P, or P + 1 if there is one of "=", which is dropped).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from grokmodel.core.optim import OptimState
from grokmodel.data.pairs import Split
from grokmodel.errors import DataError
from grokmodel.tokens.config import TokensConfig
from grokmodel.tokens.model import Layout
from grokmodel.tokens.pack import Member

BLOCK = "blocks.0."
AXES = {
    # theirs: ours, their axes in the paper's code, in TransformerLens, ours
    "embed.W_E": ("embed.w", "DV", "VD", "VD"),
    "pos_embed.W_pos": ("position", "TD", "TD", "TD"),
    BLOCK + "attn.W_Q": ("block0.query.w", "HED", "HDE", "DHE"),
    BLOCK + "attn.W_K": ("block0.key.w", "HED", "HDE", "DHE"),
    BLOCK + "attn.W_V": ("block0.value.w", "HED", "HDE", "DHE"),
    BLOCK + "attn.W_O": ("block0.out.w", "DA", "HED", ""),
    BLOCK + "mlp.W_in": ("block0.ffn.up.w", "FD", "DF", "DF"),
    BLOCK + "mlp.b_in": ("block0.ffn.up.b", "F", "F", "F"),
    BLOCK + "mlp.W_out": ("block0.ffn.down.w", "DF", "FD", "FD"),
    BLOCK + "mlp.b_out": ("block0.ffn.down.b", "D", "D", "D"),
    "unembed.W_U": ("unembed.w", "DO", "DO", "DO"),
}
BUFFERS = ("mask", "IGNORE")
"""Tensors of theirs that are no weights."""
ABSENT = ("attn.b_Q", "attn.b_K", "attn.b_V", "attn.b_O", "unembed.b_U")
"""Biases that TransformerLens has and this model has not: they have to be 0, as in its demo."""
INERT = ("transformer_lens.", "numpy.")
"""Packages whose objects may lie beside the weights; none of them is made."""
OPERATIONS = {"add": "add", "subtract": "sub"}
"""The paper's names of operations -> ours."""


class Inert:
    """What stands for an object that is not to be made."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


@dataclass(frozen=True)
class Published:
    """A checkpoint as a member, and what its file says of its training."""

    member: Member
    split: Split
    """Training pairs as the file or its config gives them, or by the paper's code."""
    losses: dict[str, float]
    """`train` and `test`, the last that the file has recorded; empty if it has none."""


def read_published(
    path: Path, seed: int | None = None, train_fraction: float | None = None
) -> Published:
    """Read a checkpoint.

    Args:
        path: `.safetensors`, or a `.pth` with the weights as they are or under `model`.
        seed, train_fraction: of the paper's code, which say which pairs were trained on; by default
            what the file says, else 0 and 0.3.

    Raises:
        DataError: it cannot be read, would run code, or holds another model. Names file and tensor.
        ConfigError: a model of a size that trials do not have.
    """
    body = _read(path)
    weights = body.get("model", body)
    if not isinstance(weights, Mapping):
        raise DataError(f"{path}: `model` is no dict of tensors; need the weights there")
    tensors = {str(name): t for name, t in weights.items() if isinstance(t, Tensor)}
    said = body.get("config")
    said = said if isinstance(said, dict) else {}
    operation = str(said.get("fn_name", "add"))
    if operation not in OPERATIONS:
        raise DataError(f"{path}: operation {operation!r}; need one of {', '.join(OPERATIONS)}")
    named, sizes = _ours(path, tensors)
    config = TokensConfig(
        op=OPERATIONS[operation],
        P=sizes["P"],
        width=sizes["D"],
        heads=sizes["H"],
        ffn=sizes["F"],
        seed=said.get("seed", 0) if seed is None else seed,
        train_fraction=said.get("frac_train", 0.3) if train_fraction is None else train_fraction,
    )
    row_1n = torch.cat([named[name].reshape(-1) for name in Layout(config.shape).entries])[None]
    split = _split(path, config, body.get("train_indices"))
    return Published(Member(config, OptimState.start(row_1n)), split, _losses(body))


# --- the file -------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any]:
    """What the file holds, without running any of it."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; need a .safetensors or .pth")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        refused = [name for name in foreign if not name.startswith(INERT)]
        if refused:
            raise DataError(
                f"{path}: it would run {refused[0]}, so it was not read; need tensors, numbers, "
                "lists and dicts only, or safetensors"
            )
        stand_ins: list[Any] = [(Inert, name) for name in foreign]
        with torch.serialization.safe_globals(stand_ins):
            body = torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:  # a damaged zip or pickle can fail in any way
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise DataError(f"{path}: {what}; need safetensors, or a zip of torch.save") from error
    if not isinstance(body, dict):
        raise DataError(f"{path}: holds a {type(body).__name__}; need a dict of tensors")
    return body


# --- the weights ----------------------------------------------------------------------------------


def _ours(path: Path, theirs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Weights under our names in our shapes, float32, and the sizes P, D, H, F."""
    if missing := [name for name in AXES if name not in theirs]:
        raise DataError(f"{path}: no tensor {missing[0]}; need {', '.join(AXES)}")
    for name, tensor in theirs.items():
        _check_known(path, name, tensor)
    is_lens = theirs[BLOCK + "attn.W_O"].ndim == 3
    axes = {name: row[1 + is_lens] for name, row in AXES.items()}
    sizes = {"T": 3}
    for name in ("embed.W_E", BLOCK + "attn.W_Q", BLOCK + "mlp.b_in"):
        if theirs[name].ndim != len(axes[name]):
            found = tuple(theirs[name].shape)
            raise DataError(f"{path}: {name} has shape {found}; need {len(axes[name])} axes")
        sizes |= dict(zip(axes[name], theirs[name].shape, strict=True))
    sizes |= {"P": sizes["V"] - 1, "A": sizes["H"] * sizes["E"]}
    logits = theirs["unembed.W_U"].shape[-1:]
    sizes["O"] = sizes["P"] if logits == (sizes["P"],) else sizes["V"]
    for name, of in axes.items():
        need, found = tuple(sizes[x] for x in of), tuple(theirs[name].shape)
        if found != need:
            raise DataError(
                f"{path}: {name} has shape {found}; need {need}, as P = {sizes['P']}, width = "
                f"{sizes['D']}, {sizes['H']} heads, {sizes['F']} hidden units"
            )
        if not theirs[name].isfinite().all():
            raise DataError(f"{path}: {name} has values that are not finite")
    if sizes["A"] != sizes["D"]:
        words = f"{sizes['H']} heads of {sizes['E']} are not the width, {sizes['D']}"
        raise DataError(f"{path}: {words}; need heads that divide it")
    named = {}
    for name, (mine, *_, target) in AXES.items():
        of, tensor = axes[name], theirs[name].float()
        target = target or ("HED" if is_lens else "AD")
        named[mine] = tensor.permute([of.index(x) for x in target])
    named["unembed.w"] = named["unembed.w"][:, : sizes["P"]]
    return named, sizes


def _check_known(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor that this model has no place for."""
    if name in AXES or name.rpartition(".")[2] in BUFFERS:
        return
    if name.removeprefix(BLOCK) not in ABSENT:
        words = "a model of one block without LayerNorm and nothing else"
        raise DataError(f"{path}: it has a tensor {name}; need {words}")
    if tensor.any():
        raise DataError(f"{path}: {name} is not 0; need 0, as this model has no such bias")


# --- its training ---------------------------------------------------------------------------------


def _split(path: Path, config: TokensConfig, indices: object) -> Split:
    """Training pairs by their numbers a P + b, or by the paper's code from seed and fraction."""
    P = config.P
    numbers = list(range(P**2))
    if isinstance(indices, Tensor):
        train = indices.reshape(-1).tolist()
        if odd := [i for i in train if i not in range(P**2)]:
            raise DataError(f"{path}: train_indices has {odd[0]}; need 0 to {P**2 - 1}")
    else:
        random.Random(config.seed).shuffle(numbers)
        train = numbers[: int(config.train_fraction * P**2)]
    trains = np.isin(np.arange(P**2), train).reshape(P, P)
    val = np.argwhere(~trains)
    return Split(np.argwhere(trains), val, ~trains[val[:, 1], val[:, 0]])


def _losses(body: Mapping[str, Any]) -> dict[str, float]:
    """The last losses that the file has recorded."""
    found = {}
    for side in ("train", "test"):
        recorded = body.get(f"{side}_losses")
        if isinstance(recorded, list) and recorded and isinstance(recorded[-1], float):
            found[side] = recorded[-1]
    return found
