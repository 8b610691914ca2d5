"""The Diffusion Transformer of one trial.

    dit = DiT.load("exported")                        # or DiT.from_snapshot(bytes)
    x0_hat = dit(a, b, x_t, t)                        # one prediction
    images = dit.pixels(dit.sample(a=3, b=5, n=16))   # (16, side, side) in [0, 1]
    dit.get_submodule(dit.hook_points["block0.query"]).register_forward_hook(...)

The sequence is [a-tokens, b-tokens, c-tokens]: two clean operand images and the noisy result image.
The pack of `image/model.py` is the same for M members at once; here is one, in float32.

Shapes: B triplets, S side, C tokens of an image, L = 3C, X pixels of a token, D width, n
parameters.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from grokmodel.core.checkpoint import CheckpointError, load_snapshot
from grokmodel.data.bank import SymbolBank
from grokmodel.diffusion import flow
from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from grokmodel.image.dit.files import ModelError, Saved, check_tensors, read_folder, write_folder
from grokmodel.image.dit.layers import Block, Final, Sandwich, TimeEmbedding
from grokmodel.image.dit.symbols import Symbols
from grokmodel.image.dit.weights import named_weights
from grokmodel.image.model import Layout, patchify, unpatchify
from grokmodel.image.pack import Member

PER_HEAD = ("query", "key", "value", "score", "weight", "weighted_value", "head_output")
"""Hook points that lie in a block's attention."""


class DiT(nn.Module):
    """The model of one trial, from the weights with which it starts.

    Images are (B, S, S) in the model's own scale: centered per pixel, of unit variance over the
    bank. `pixels` turns them into [0, 1], `symbols.standardized` does the opposite.

    Args:
        config: of the trial; `config.seed` draws the weights.
        bank: its images; without them the model cannot show a symbol by number, nor scale pixels.
    """

    def __init__(self, config: TrialConfig, bank: SymbolBank | None = None) -> None:
        super().__init__()
        self.config, self.shape, self.step = config, config.shape, 0
        s, D = self.shape, self.shape.width
        self.embed = nn.Linear(s.token_dim, D)
        self.position = None
        if s.position == "learned":
            self.position = nn.Parameter(torch.zeros(3 * s.tokens_per_image, D))
        self.time = TimeEmbedding(s)
        self.embedding = nn.Identity()  # (B, L, D)
        self.sandwich = Sandwich(s) if s.variant == "sandwich" else None
        for i in range(s.depth):
            self.add_module(f"block{i}", Block(s))
        self.final = Final(s)
        self.symbols = None if bank is None else Symbols.of_bank(bank)
        self.load_row(Layout(s).init(config.seed, config.init_scale, config.zero_output))

    # --- the forward pass ------------------------------------------------------------------------

    def forward(self, a_BSS: Tensor, b_BSS: Tensor, x_t_BSS: Tensor, t_B: Tensor) -> Tensor:
        """Predict the clean result image.

        Args:
            a_BSS, b_BSS: images of the operands, in the model's scale.
            x_t_BSS: noisy images of the result, (1 - t) x_0 + t eps.
            t_B: noise levels in [0, 1]: 0 data, 1 noise.

        Returns:
            x0_hat, (B, S, S), in the model's scale.

        Raises:
            ValueError: another shape.
        """
        self._check(a_BSS, b_BSS, x_t_BSS, t_B)
        s, C = self.shape, self.shape.tokens_per_image
        if s.input_gate:
            x_t_BSS = x_t_BSS * (1.0 - t_B / s.visible_below).clamp(min=0.0)[:, None, None]
        images = torch.stack([a_BSS, b_BSS, x_t_BSS], dim=1)
        h = self.embed(patchify(images, s.patch).flatten(1, 2))  # (B, L, D)
        h = self.embedding(h if self.position is None else h + self.position)
        time = self.time(t_B)
        if self.sandwich is not None:
            h = self.sandwich(h, time)
        for block in self.blocks[:-1]:
            h = block(h, time, rows=3 * C)
        h = self.blocks[-1](h, time, rows=C)  # only c-tokens reach the output
        return unpatchify(self.final(h, time), s.patch)

    @property
    def blocks(self) -> list[nn.Module]:
        return [self.get_submodule(f"block{i}") for i in range(self.shape.depth)]

    @property
    def hook_points(self) -> dict[str, str]:
        """Name of every hook point, as tables have it -> path of the submodule whose output it is,
        in the order of the forward pass. That of `output` is `final`: nnsight has a use of its own
        for the name."""
        ffn = [f"ffn.{part}" for part in ("pre", "post")]
        names = ["embedding"] + ([f"sandwich.{x}" for x in ffn] if self.sandwich else [])
        for i in range(self.shape.depth):
            names += [f"block{i}.{kind}" for kind in (*PER_HEAD, "attention", *ffn)]
        in_attention = rf"\.({'|'.join(PER_HEAD)})$"
        paths = {name: re.sub(in_attention, r".attention.\1", name) for name in names}
        return paths | {"output": "final"}

    def _check(self, a: Tensor, b: Tensor, x_t: Tensor, t: Tensor) -> None:
        S, found = self.shape.side, [tuple(x.shape) for x in (a, b, x_t, t)]
        if found != [(len(t), S, S)] * 3 + [(len(t),)]:
            shapes = ", ".join(map(str, found))
            raise ValueError(f"a, b, x_t, t of shapes {shapes}; need (B, {S}, {S}) thrice and (B,)")

    # --- samples ---------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        a: int | Tensor,
        b: int | Tensor,
        steps: int | None = None,
        *,
        n: int = 1,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw result images by Euler's method, see `flow.sample`.

        Args:
            a, b: operands: images (B, S, S) in the model's scale, or the numbers of symbols.
            steps: Euler steps; by default those of the trial's final evaluation.
            n: samples, where both operands are numbers; else there is one per image.
            noise: where samples start, (B, S, S) standard normal; by default drawn.
            generator: draws images of symbols, then noise; on the CPU.

        Returns:
            (B, S, S) in the model's scale; `pixels` has them in [0, 1].

        Raises:
            ModelError: a number, and the model has no images of symbols.
            ConfigError: there is no such symbol; steps or n below 1.
        """
        steps = self.config.final_sample_steps if steps is None else steps
        for name, value in (("steps", steps), ("n", n)):
            if value < 1:
                raise ConfigError(name, value, "1 or more")
        sizes = [len(x) for x in (a, b) if isinstance(x, Tensor)]
        n = sizes[0] if sizes else n
        a_BSS, b_BSS = (
            x if isinstance(x, Tensor) else self._symbols().show(x, n, generator) for x in (a, b)
        )
        S, weight = self.shape.side, self.embed.weight
        if noise is None:
            noise = torch.randn(n, S, S, generator=generator)

        def denoise(x_1BX: Tensor, t_11: Tensor) -> Tensor:
            x_t = x_1BX[0].unflatten(-1, (S, S))
            return self(a_BSS, b_BSS, x_t, t_11[0].expand(n)).flatten(1)[None]

        start = noise.to(weight.device, weight.dtype).flatten(1)[None]
        drawn = flow.sample(denoise, start, steps)
        return drawn[0].unflatten(-1, (S, S))

    def pixels(self, images: Tensor) -> Tensor:
        """Images (..., S, S) in the model's scale as pixels in [0, 1].

        Raises:
            ModelError: the model has no images of symbols, and so no scale.
        """
        return self._symbols().pixels(images)

    def _symbols(self) -> Symbols:
        if self.symbols is None:
            raise ModelError(
                "the model has no images of symbols: give them as tensors, or its bank when it is "
                "made"
            )
        return self.symbols

    # --- weights and files -----------------------------------------------------------------------

    def load_row(self, row_n: Tensor) -> Self:
        """Take the weights of a member, (n,) in the order of `Layout`."""
        own = {name: t for name, t in self.state_dict().items() if name.startswith("symbols.")}
        self.load_state_dict(named_weights(self.shape, row_n) | own)
        return self

    @classmethod
    def from_member(cls, member: Member, bank: SymbolBank | None = None) -> Self:
        """The model of a member's averaged weights."""
        dit = cls(member.config, bank).load_row(member.state.average[0])
        dit.step = member.step
        return dit

    @classmethod
    def from_snapshot(cls, source: str | Path | bytes, bank: SymbolBank | None = None) -> Self:
        """The model of a snapshot or a resume point of a store: its averaged weights.

        Raises:
            ModelError: not found, damaged, or of another format or science version.
        """
        origin = "snapshot" if isinstance(source, bytes) else str(source)
        try:
            data = source if isinstance(source, bytes) else Path(source).read_bytes()
            member = load_snapshot(Member, data, origin)
        except OSError as error:
            raise ModelError(f"{origin}: {error.strerror}; need a snapshot of a store") from error
        except CheckpointError as error:
            raise ModelError(str(error)) from error
        return cls.from_member(member, bank)

    def save(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`: see `files`.

        Raises:
            ModelError: the folder cannot be written.
        """
        labels = self.symbols.labels if self.symbols is not None else ()
        write_folder(Path(folder), Saved(self.config, self.step, labels, self.state_dict()))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Inverse of `save`.

        Raises:
            ModelError: a file is missing or damaged, of another science version, or its tensors are
                not those of its config.
        """
        saved = read_folder(Path(folder))
        dit = cls(saved.config)
        dit.step = saved.step
        if saved.labels:
            dit.symbols = _empty_symbols(saved.config, saved.labels)
        check_tensors(saved.tensors, dit.state_dict(), str(folder))
        dit.load_state_dict(saved.tensors)
        return dit


def _empty_symbols(config: TrialConfig, labels: tuple[str, ...]) -> Symbols:
    """Symbols of the config's shape, to be filled from a file."""
    S = config.side
    images = torch.zeros(config.P, config.N, S, S)
    return Symbols(images, torch.zeros(S, S), torch.zeros(()), labels)
