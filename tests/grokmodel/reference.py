"""One member written the ordinary way, from the papers and not from `grokmodel.image.model`.

Every token goes through every block, every row has its own t, and everything is a torch.nn module.
"""

import torch
import torch.nn.functional as F
from torch import nn


class FeedForward(nn.Module):
    def __init__(self, shape, hidden):
        super().__init__()
        self.gated = shape.activation == "swiglu"
        self.up = nn.Linear(shape.width, hidden * (2 if self.gated else 1))
        self.down = nn.Linear(hidden, shape.width)

    def forward(self, x):
        if not self.gated:
            return self.down(nn.GELU()(self.up(x)))
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(nn.SiLU()(gate) * value)


class Sandwich(nn.Module):
    """FFN between embedding and attention, with adaLN of its own."""

    def __init__(self, shape):
        super().__init__()
        self.skip = shape.sandwich_skip
        self.open = 0 if shape.adaln_zero else 1
        self.mod = nn.Linear(shape.width, 3 * shape.width)
        self.ffn = FeedForward(shape, shape.sandwich_ffn or shape.ffn)
        self.norm = layer_norm(shape, shape.norm in ("pre", "ffn"))

    def forward(self, x, time):
        shift, scale, gate = self.mod(time)[:, None].chunk(3, dim=-1)
        made = (self.open + gate) * self.ffn(self.norm(x) * (1 + scale) + shift)
        return x + made if self.skip else made


class Block(nn.Module):
    """Block of DiT; unless it is adaLN-Zero its gates are 1 + the modulation: they start open."""

    def __init__(self, shape):
        super().__init__()
        D = shape.width
        self.heads, self.rotary = shape.heads, shape.position == "rotary"
        self.open = 0 if shape.adaln_zero else 1
        self.qk_norm = nn.Identity()
        if shape.qk_norm:
            self.qk_norm = nn.LayerNorm(D // shape.heads, elementwise_affine=False)
        self.mod = nn.Linear(D, 6 * D)
        self.query, self.value, self.out = (nn.Linear(D, D) for _ in range(3))
        self.key = nn.Linear(D, D, bias=False)
        self.ffn = FeedForward(shape, shape.ffn)
        self.norm1 = layer_norm(shape, shape.norm == "pre")
        self.norm2 = layer_norm(shape, shape.norm in ("pre", "ffn"))

    def split(self, x):
        B, L, D = x.shape
        return x.view(B, L, self.heads, D // self.heads).transpose(1, 2)

    def attention(self, x):
        q, k, v = (self.split(f(x)) for f in (self.query, self.key, self.value))
        q, k = self.qk_norm(q), self.qk_norm(k)
        if self.rotary:
            q, k = rotary(q), rotary(k)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))

    def forward(self, x, time):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.mod(time)[:, None].chunk(6, dim=-1)
        x = x + (self.open + gate1) * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        return x + (self.open + gate2) * self.ffn(self.norm2(x) * (1 + scale2) + shift2)


class Reference(nn.Module):
    def __init__(self, shape):
        super().__init__()
        D = shape.width
        self.shape = shape
        self.embed = nn.Linear(shape.token_dim, D)
        if shape.position == "learned":
            self.position = nn.Parameter(torch.zeros(3 * shape.tokens_per_image, D))
        self.time = nn.Linear(D, D)
        if shape.time_embedding == "mlp":
            self.time_out = nn.Linear(D, D)
        if shape.variant == "sandwich":
            self.sandwich = Sandwich(shape)
        for i in range(shape.depth):
            self.add_module(f"block{i}", Block(shape))
        self.norm = layer_norm(shape, shape.norm == "pre")
        self.final = nn.Linear(D, shape.token_dim)
        self.final.mod = nn.Linear(D, 2 * D)

    def tokens(self, images):
        """(B, S, S) -> (B, C, patch^2)."""
        patch = self.shape.patch
        return F.unfold(images[:, None], patch, stride=patch).transpose(1, 2)

    def image(self, tokens):
        """(B, C, patch^2) -> (B, S, S)."""
        side, patch = self.shape.side, self.shape.patch
        return F.fold(tokens.transpose(1, 2), side, patch, stride=patch)[:, 0]

    def time_vector(self, t):
        half = self.shape.width // 2
        frequency = 10_000.0 ** (-torch.arange(half, dtype=t.dtype, device=t.device) / half)
        angle = 1000 * t[:, None] * frequency
        time = nn.SiLU()(self.time(torch.cat([torch.cos(angle), torch.sin(angle)], dim=1)))
        return nn.SiLU()(self.time_out(time)) if hasattr(self, "time_out") else time

    def forward(self, a, b, x_t, t):
        """Predicted result images (B, S, S) from images (B, S, S) and levels (B,)."""
        gate = (1 - t / self.shape.visible_below).clamp(min=0)[:, None, None]
        noisy = x_t * gate if self.shape.input_gate else x_t
        tokens = torch.cat([self.tokens(image) for image in (a, b, noisy)], dim=1)
        h, time = self.embed(tokens), self.time_vector(t)
        h = h + self.position if hasattr(self, "position") else h
        if self.shape.variant == "sandwich":
            h = self.sandwich(h, time)
        for i in range(self.shape.depth):
            h = self.get_submodule(f"block{i}")(h, time)
        shift, scale = self.final.mod(time)[:, None].chunk(2, dim=-1)
        h = self.norm(h) * (1 + scale) + shift
        return self.image(self.final(h)[:, -self.shape.tokens_per_image :])

    def load(self, params, member):
        """Take the weights of one member; matrices are stored (in, out) there, (out, in) here."""
        mine = dict(self.named_parameters())
        assert {stored_name(name) for name in mine} == set(params)
        with torch.no_grad():
            for name, p in mine.items():
                value = params[stored_name(name)][member]
                p.copy_(value.T if name.endswith(".weight") else value)
        return self

    def gradients(self):
        """Gradient of every parameter under its stored name and in its stored shape."""
        return {
            stored_name(name): p.grad.T if name.endswith(".weight") else p.grad
            for name, p in self.named_parameters()
        }


def stored_name(name):
    return name.replace(".weight", ".w").replace(".bias", ".b")


def layer_norm(shape, on):
    return nn.LayerNorm(shape.width, elementwise_affine=False) if on else nn.Identity()


def rotary(x):
    """(B, H, L, E): pairs of numbers as complex ones, turned by position / 10,000^(2i / E)."""
    L, half = x.shape[-2], x.shape[-1] // 2
    frequency = 10_000.0 ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = torch.outer(torch.arange(L, dtype=x.dtype), frequency)
    turned = torch.complex(*x.split(half, dim=-1)) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([turned.real, turned.imag], dim=-1)
