"""One member written the ordinary way, from the paper and not from `grokmodel.tokens.model`.

All three tokens go through masked attention and MLP, and everything is a torch.nn module.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Reference(nn.Module):
    def __init__(self, shape):
        super().__init__()
        D = shape.width
        self.shape = shape
        self.embed = nn.Embedding(shape.P + 1, D)
        self.position = nn.Parameter(torch.zeros(3, D))
        self.query, self.key, self.value, self.out = (nn.Linear(D, D, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(D, shape.ffn), nn.Linear(shape.ffn, D)
        self.unembed = nn.Linear(D, shape.P, bias=False)

    def split(self, x):
        """(Q, T, D) -> (Q, H, T, E)."""
        return x.unflatten(2, (self.shape.heads, -1)).transpose(1, 2)

    def forward(self, a, b):
        """Logits (Q, P) at the last token, from symbols (Q,)."""
        tokens = torch.stack([a, b, torch.full_like(a, self.shape.P)], dim=1)
        x = self.embed(tokens) + self.position
        q, k, v = (self.split(f(x)) for f in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        act = nn.ReLU() if self.shape.activation == "relu" else nn.GELU()
        x = x + self.down(act(self.up(x)))
        return self.unembed(x)[:, -1]

    def load(self, params, member):
        """Take the weights of one member; matrices are stored (in, out) there, (out, in) here."""
        mine = dict(self.named_parameters())
        assert {stored_name(name) for name in mine} == set(params)
        with torch.no_grad():
            for name, p in mine.items():
                p.copy_(as_stored(name, params[stored_name(name)][member]))
        return self

    def gradients(self):
        """Gradient of every parameter under its stored name and in its stored shape."""
        return {stored_name(n): as_stored(n, p.grad) for n, p in self.named_parameters()}


def stored_name(name):
    layer, _, kind = name.partition(".")
    block = {"up": "block0.ffn.", "down": "block0.ffn."}
    block |= dict.fromkeys(("query", "key", "value", "out"), "block0.")
    return block.get(layer, "") + layer + (f".{kind[0]}" if kind else "")


def as_stored(name, matrix):
    """To and fro: only the embedding is stored as it is here."""
    return matrix.T if name.endswith(".weight") and not name.startswith("embed") else matrix
