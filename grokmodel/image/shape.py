"""What trials must have in common to train as one fused program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PackShape:
    """The fields of TrialConfig that fix tensor shapes and the program; all else is per member."""

    side: int
    patch: int
    width: int
    depth: int
    heads: int
    ffn: int
    variant: str
    sandwich_ffn: int
    sandwich_skip: bool
    norm: str
    qk_norm: bool
    position: str
    time_embedding: str
    activation: str
    adaln_zero: bool
    input_gate: bool
    visible_below: float
    precision: str
    optimizer: str
    loss: str
    batch: int
    t_levels: int
    sample_steps: int
    final_sample_steps: int
    eval_every: int

    def __str__(self) -> str:
        """In a few words."""
        before = f" of FFN {self.sandwich_ffn}" if self.sandwich_ffn else ""
        return f"width {self.width}, FFN {self.ffn}, side {self.side}, {self.variant}{before}"

    @property
    def tokens_per_image(self) -> int:
        return (self.side // self.patch) ** 2

    @property
    def token_dim(self) -> int:
        return self.patch**2
