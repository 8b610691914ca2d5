"""The places in the model that analyses look at and write to.

The model calls its hook with the whole activation of a named place; a `HookPoint` is the part of it
that belongs to the c-tokens, to one head and, where the place looks at the operands, to one of
them.

Shapes: M members, B triplets, C tokens of an image, L = 3C tokens, H heads, E features of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from grokmodel.core.member import Hook
from grokmodel.image.shape import PackShape

NO_HEAD = -1
OPERANDS = ("a", "b")
PER_HEAD = ("value", "key", "query", "score", "weighted_value", "head_output")
PER_OPERAND = ("embedding", "value", "key", "score", "weighted_value")


@dataclass(frozen=True)
class HookPoint:
    """One part of one named activation."""

    name: str
    """The model's name of the activation, such as `block0.value`."""
    operand: str = ""
    """`a`, `b`, or empty where the hook point does not single out an operand."""
    head: int = NO_HEAD

    @property
    def kind(self) -> str:
        return self.name.rsplit(".", 1)[-1]

    @property
    def label(self) -> str:
        """The name with its operand, such as `block0.value[a]`; the head stands apart."""
        return f"{self.name}[{self.operand}]" if self.operand else self.name

    def view(self, value: Tensor, shape: PackShape) -> Tensor:
        """Its part (M, B, tokens, ...) of the whole activation; writing to it edits that."""
        C = shape.tokens_per_image
        tokens = slice(C, 2 * C) if self.operand == "b" else slice(0, C)
        if self.kind in ("key", "value"):  # (M, B, L, H, E)
            return value[:, :, tokens, self.head]
        if self.operand and self.kind in ("embedding", "pre", "post"):  # (M, B, L, D)
            return value[:, :, tokens]
        own = value[:, :, -C:]  # the c-tokens are the last rows, or the only ones
        if self.kind in ("score", "weighted_value"):  # (M, B, C, L, H[, E])
            return own[:, :, :, tokens, self.head]
        return own[:, :, :, self.head] if self.head != NO_HEAD else own


def last_ffn(shape: PackShape, part: str = "post") -> HookPoint:
    """The neurons that write the answer: FFN `pre` or `post` of the last block."""
    return HookPoint(f"block{shape.depth - 1}.ffn.{part}")


def hook_points(shape: PackShape) -> list[HookPoint]:
    """All hook points of a model, from the input to the output."""
    out = [HookPoint("embedding", operand) for operand in OPERANDS]
    if shape.variant == "sandwich":
        # before attention, c knows nothing of a and b
        out += [HookPoint(f"sandwich.ffn.{part}", x) for part in ("pre", "post") for x in OPERANDS]
    for i in range(shape.depth):
        for kind in PER_HEAD:
            for operand in OPERANDS if kind in PER_OPERAND else ("",):
                out += [HookPoint(f"block{i}.{kind}", operand, h) for h in range(shape.heads)]
        out.append(HookPoint(f"block{i}.attention"))
        # FFNs ahead of the last one also work on the tokens of a and b
        sides = (*OPERANDS, "") if i < shape.depth - 1 else ("",)
        out += [HookPoint(f"block{i}.ffn.{part}", x) for part in ("pre", "post") for x in sides]
    return [*out, HookPoint("output")]


def recorder(into: dict[str, Tensor]) -> Hook:
    """A hook that keeps every activation and changes none."""

    def hook(name: str, value: Tensor) -> Tensor:
        into[name] = value
        return value

    return hook


def editor(
    points: Sequence[HookPoint], shape: PackShape, edit: Callable[[HookPoint, Tensor], Tensor]
) -> Hook:
    """A hook that replaces the part of each of `points` by `edit(hook point, part)`."""
    return replacing(points, lambda point, value: point.view(value, shape), edit)


def replacing(
    points: Sequence[HookPoint],
    part_of: Callable[[HookPoint, Tensor], Tensor],
    edit: Callable[[HookPoint, Tensor], Tensor],
) -> Hook:
    """The same, given the view of a whole activation that a hook point is."""

    def hook(name: str, value: Tensor) -> Tensor:
        mine = [point for point in points if point.name == name]
        if not mine:
            return value
        value = value.clone()
        for point in mine:
            part = part_of(point, value)
            part.copy_(edit(point, part))
        return value

    return hook
