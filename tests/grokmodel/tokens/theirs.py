"""The token model in the layouts of others: random weights, and logits by their formulas."""

import math

import torch

P, D, H, E, F = 7, 6, 2, 3, 5
"""All sizes differ, so that no axis can stand for another."""
PAPER = {
    "embed.W_E": (D, P + 1), "pos_embed.W_pos": (3, D),
    "blocks.0.attn.W_K": (H, E, D), "blocks.0.attn.W_Q": (H, E, D), "blocks.0.attn.W_V": (H, E, D),
    "blocks.0.attn.W_O": (D, E * H),
    "blocks.0.mlp.W_in": (F, D), "blocks.0.mlp.b_in": (F,),
    "blocks.0.mlp.W_out": (D, F), "blocks.0.mlp.b_out": (D,),
    "unembed.W_U": (D, P + 1),
}  # fmt: skip
LENS = PAPER | {
    "embed.W_E": (P + 1, D),
    "blocks.0.attn.W_K": (H, D, E), "blocks.0.attn.W_Q": (H, D, E), "blocks.0.attn.W_V": (H, D, E),
    "blocks.0.attn.W_O": (H, E, D),
    "blocks.0.mlp.W_in": (D, F), "blocks.0.mlp.W_out": (F, D),
    "unembed.W_U": (D, P),
}  # fmt: skip
LENS_ZEROS = {
    "blocks.0.attn.b_Q": (H, E), "blocks.0.attn.b_K": (H, E), "blocks.0.attn.b_V": (H, E),
    "blocks.0.attn.b_O": (D,), "unembed.b_U": (P,),
}  # fmt: skip


def paper(seed=0):
    """Random weights as the paper's code saves them."""
    return _random(PAPER, seed) | {"blocks.0.attn.mask": torch.ones(3, 3).tril()}


def lens(seed=0):
    """Random weights as TransformerLens saves them."""
    zeros = {name: torch.zeros(shape) for name, shape in LENS_ZEROS.items()}
    buffers = {"blocks.0.attn.mask": torch.ones(3, 3).tril() > 0,
               "blocks.0.attn.IGNORE": torch.tensor(-torch.inf)}  # fmt: skip
    return _random(LENS, seed) | zeros | buffers


def _random(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    return {n: 0.5 * torch.randn(s, generator=generator) for n, s in shapes.items()}


def all_tokens():
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    return torch.stack([a.flatten(), b.flatten(), torch.full((P * P,), P)], 1)


def logits(weights):
    """(P^2, P) at "=": all three tokens through the block, as the axes of each layout say."""
    is_lens = weights["blocks.0.attn.W_O"].ndim == 3
    w = {name.rsplit(".", 1)[-1]: value for name, value in weights.items()}
    embed = w["W_E"] if is_lens else w["W_E"].T
    x = embed[all_tokens()] + w["W_pos"]
    to_head = "qtd,hde->qthe" if is_lens else "qtd,hed->qthe"
    q, k, v = (torch.einsum(to_head, x, w[name]) for name in ("W_Q", "W_K", "W_V"))
    scores = torch.einsum("qthe,qshe->qhts", q, k) / math.sqrt(E)
    hidden = torch.ones(3, 3).triu(1) > 0
    pattern = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    z = torch.einsum("qhts,qshe->qthe", pattern, v)
    if is_lens:
        x = x + torch.einsum("qthe,hed->qtd", z, w["W_O"])
        x = x + torch.relu(x @ w["W_in"] + w["b_in"]) @ w["W_out"] + w["b_out"]
    else:
        x = x + z.flatten(2) @ w["W_O"].T
        x = x + torch.relu(x @ w["W_in"].T + w["b_in"]) @ w["W_out"].T + w["b_out"]
    return (x @ w["W_U"])[:, -1, :P]
