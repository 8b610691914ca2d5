"""Which form of attention is cheapest with many heads and few distinct images: four exact ones.

    python tests/benchmarks/attention.py --members 1 3

One query per row (the result's token) over three tokens: two operands that are rows of a table of
S = 2 K images, and its own. adaLN shifts and scales every token, with other numbers at every noise
level. Forward and backward, CPU milliseconds per member, all forms in turn; their results and
gradients are compared first.

Shapes: M members, T noise levels, G rows of a level, B = T G, H heads, D width, E = D / H, K
images.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from grokmodel.image.attention import _GatherRows
from tests.benchmarks import machine

TOLERANCE = 1e-4


class Inputs:
    """What every form gets, and the forms."""

    def __init__(self, M: int, H: int, D: int, B: int, T: int, K: int) -> None:
        self.M, self.H, self.D, self.B, self.T, self.K = M, H, D, B, T, K
        self.G, self.E = B // T, D // H
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        self.w = {n: (random(M, D, D) / D**0.5).requires_grad_() for n in "qkvo"}
        self.table = random(M, 2 * K, D).requires_grad_()
        self.own = random(M, T, self.G, 1, D).requires_grad_()
        self.shift = random(M, T, 1, 1, D).mul(0.3).requires_grad_()
        self.scale = random(M, T, 1, 1, D).mul(0.3).add(1).requires_grad_()
        self.rows = torch.randint(K, (M, B, 2), generator=generator) + K * torch.arange(2)
        self.target = random(M, B, D)
        self.leaves = [*self.w.values(), self.table, self.own, self.shift, self.scale]

    def gradients(self, form: str) -> list[Tensor]:
        out = getattr(self, form)()
        return [out, *torch.autograd.grad((out * self.target).sum(), self.leaves)]

    # --- the forms -------------------------------------------------------------------------------

    def keys_and_values(self) -> Tensor:
        """Of every token of every row, as everybody does: 8 D^2 per row."""
        M, T, G, H, E = self.M, self.T, self.G, self.H, self.E
        parts = [torch.addcmul(self.shift, x, self.scale) for x in (self._operands(), self.own)]
        q = self._linear("q", parts[1]).view(M, T, G, 1, 1, H, E)
        keys, values = (
            [self._linear(n, x).view(M, T, G, 1, -1, H, E) for x in parts] for n in "kv"
        )
        score = torch.cat([(q * k).sum(-1) for k in keys], dim=-2) / math.sqrt(E)
        weights = score.softmax(-2).split([2, 1], dim=-2)
        mixed = [(w[..., None] * v).sum(-3) for w, v in zip(weights, values, strict=True)]
        return self._linear("o", (mixed[0] + mixed[1]).view(M, -1, self.D))

    def matrices_on_the_query(self) -> Tensor:
        """The key matrix is applied to the query, the value matrix to the average: 4 D^2, and 6 H D
        in tiny products."""
        tokens = (torch.cat([self._operands(), self.own], dim=-2) * self.scale).flatten(0, 2)
        asked = self._asked().transpose(1, 2).reshape(-1, self.H, self.D)
        weight = (asked @ tokens.transpose(1, 2) / math.sqrt(self.E)).softmax(-1)
        mixed = (weight @ tokens).view(self.M, self.T, self.G, self.H, self.D) + self.shift
        return self._values_of(mixed.flatten(1, 2).transpose(1, 2))

    def product_with_the_table(self) -> Tensor:
        """The same, scores and averages as products with the whole table: 4 D^2 and 2 S H D."""
        M, H, T, G, D = self.M, self.H, self.T, self.G, self.D
        scale, shift = self.scale[:, None, :, 0], self.shift[:, None, :, 0]
        asked = (self._asked().view(M, H, T, G, D) * scale / math.sqrt(self.E)).flatten(2, 3)
        on_table = (asked.flatten(1, 2) @ self.table.transpose(1, 2)).view(M, H, self.B, -1)
        column = self.rows[:, None].expand(-1, H, -1, -1)
        own = self.own.view(M, 1, self.B, D)
        on_own = (asked * own).sum(-1, keepdim=True)
        weight = torch.cat([on_table.gather(-1, column), on_own], dim=-1).softmax(-1)
        spread = torch.zeros_like(on_table).scatter(-1, column, weight[..., :2])
        mixed = (spread.flatten(1, 2) @ self.table).view(M, H, self.B, D) + weight[..., 2:] * own
        return self._values_of((mixed.view(M, H, T, G, D) * scale + shift).flatten(2, 3))

    def table_of_every_level(self) -> Tensor:
        """Keys and values of the whole table, once per noise level: (2 S T / B + 4) D^2."""
        M, T, G, H, E = self.M, self.T, self.G, self.H, self.E
        shift, scale = self.shift[:, :, 0], self.scale[:, :, 0]
        seen = torch.addcmul(shift, self.table[:, None], scale)
        k, v = (self._linear(n, seen).view(M, T, -1, H, E) for n in "kv")
        own = torch.addcmul(self.shift, self.own, self.scale)
        q, own_k, own_v = (self._linear(n, own).view(M, T, G, H, E) for n in "qkv")
        score = torch.einsum("mtghe,mtshe->mtghs", q, k)
        column = self.rows.view(M, T, G, 1, 2).expand(-1, -1, -1, H, -1)
        on_own = (q * own_k).sum(-1, keepdim=True)
        every = torch.cat([score.gather(-1, column), on_own], dim=-1) / math.sqrt(E)
        weight = every.softmax(-1)
        spread = torch.zeros_like(score).scatter(-1, column, weight[..., :2])
        mixed = torch.einsum("mtghs,mtshe->mtghe", spread, v) + weight[..., 2:] * own_v
        return self._linear("o", mixed.reshape(M, -1, self.D))

    # --- their pieces ----------------------------------------------------------------------------

    def _operands(self) -> Tensor:
        found = _GatherRows.apply(self.table, self.rows.flatten(1))
        return found.view(self.M, self.T, self.G, 2, self.D)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return torch.bmm(x.reshape(self.M, -1, self.D), self.w[name])

    def _asked(self) -> Tensor:
        """(M, H, B, D): W_k^T q of every head."""
        q = self._linear("q", torch.addcmul(self.shift, self.own, self.scale))
        key = self.w["k"].view(self.M, self.D, self.H, self.E).permute(0, 2, 3, 1)
        return q.view(self.M, self.B, self.H, self.E).transpose(1, 2) @ key

    def _values_of(self, mixed_MHBD: Tensor) -> Tensor:
        value = self.w["v"].view(self.M, self.D, self.H, self.E).transpose(1, 2)
        out = (mixed_MHBD @ value).transpose(1, 2).reshape(self.M, self.B, self.D)
        return self._linear("o", out)


FORMS = (
    "keys_and_values", "matrices_on_the_query", "product_with_the_table", "table_of_every_level",
)  # fmt: skip


def check(inputs: Inputs) -> None:
    """All forms give the same, with the same gradients."""
    right = inputs.gradients(FORMS[0])
    for form in FORMS[1:]:
        for found, expected in zip(inputs.gradients(form), right, strict=True):
            off = float((found - expected).abs().max() / expected.abs().max())
            if off > TOLERANCE:
                raise SystemExit(f"{form} differs by {off:.1e}; need {TOLERANCE:g} at most")


def milliseconds(inputs: Inputs, rounds: int) -> dict[str, list[float]]:
    """CPU time per member, of each form in turn."""
    times: dict[str, list[float]] = {form: [] for form in FORMS}
    for _ in range(rounds):
        for form, mine in times.items():
            started = time.process_time()
            for _ in range(3):
                inputs.gradients(form)
            mine.append((time.process_time() - started) / 3 / inputs.M * 1000)
    return times


def main() -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--levels", type=int, default=64)
    parser.add_argument("--P", type=int, default=23)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines, found = [], []
    for heads in args.heads:
        for members in args.members:
            inputs = Inputs(members, heads, args.width, args.batch, args.levels, args.P)
            check(inputs)
            for form, times in milliseconds(inputs, args.rounds).items():
                row = {"heads": heads, "M": members, "form": form, "ms": statistics.median(times)}
                found.append(row | {"lowest": min(times), "highest": max(times)})
                cells = (f"{row['ms']:.1f}", f"{min(times):.1f}", f"{max(times):.1f}")
                lines.append([form.replace("_", " "), str(heads), str(members), *cells])
    print(machine.table(["form", "heads", "M", "ms", "lowest", "highest"], lines))
    machine.write_json(args.json, {"machine": machine.describe("cpu"), "rows": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
