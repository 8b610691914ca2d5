"""Members whose every answer is known: built by hand, or with all weights random.

Shapes: P modulus, X pixels of an image, D width.
"""

import numpy as np
import torch

from grokmodel.data.bank import SymbolBank
from grokmodel.data.pairs import UNDEFINED, result_table, split_pairs
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.model import Layout
from grokmodel.image.pack import Member, bank_key
from grokmodel.probing.cyclic import cyclic_order
from grokmodel.probing.hooks import recorder
from grokmodel.probing.probe import Probe, shares
from tests.grokmodel.tiny import CPU, banks_for, decoders_for, synthetic_bank, tiny

ON = 20.0
"""What a neuron sums up to at most is half of this: large enough for GELU to be exact."""


def random_member(config, scale=0.3):
    """A member whose weights are all random, also those that start as zero."""
    member = Member.start(config)
    generator = torch.Generator().manual_seed(config.seed)
    for rows in (member.state.weights, member.state.average):
        rows.copy_(scale * torch.randn(rows.shape, generator=generator))
    return member


def always(config, image):
    """A member that expects one image (standardized, (S, S)), whatever it is asked."""
    member = Member.start(config)
    for rows in (member.state.weights, member.state.average):
        rows.zero_()
        Layout(config.shape).views(rows)["final.b"].copy_(torch.as_tensor(image).flatten())
    return member


class Blind:
    """A decoder that knows no class of whatever it is shown."""

    def classify(self, images):
        return torch.full((len(images),), -1)


def probe_of(*members, banks=None, pairs=None):
    """Over the whole grid, with synthetic banks, unless told otherwise."""
    return Probe(members, banks or banks_for(*(m.config for m in members)), CPU, pairs)


def decoders_of(probe):
    return decoders_for(probe.banks)


def pairs_of(config):
    """Numbers a * P + b of the training pairs and of the strict pairs."""
    split = split_pairs(config)
    return split.train @ (config.P, 1), split.val[split.strict] @ (config.P, 1)


def without_strict_pairs(make, **changes):
    """The first config of `make` without a strict pair."""
    configs = (make(**changes, seed=seed) for seed in range(50))
    return next(c for c in configs if not split_pairs(c).strict.any())


def recorded(probe, t=1.0):
    """Every activation at the names of the model."""
    seen = {}
    with torch.no_grad():
        probe.predict(probe.noised(t, 0), t, probe.operands(), recorder(seen))
    return seen


def sampled(probe, decoders, steps, hook=None, in_group=True):
    """Accuracies of samples from noise, over the pairs of the group or over all."""
    with torch.no_grad():
        x = probe.sample(probe.noise(), steps, probe.operands(), hook)
    return shares(probe.right(x, decoders), probe, in_group)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- banks ----------------------------------------------------------------------------------------


def pixel_bank(P, side):
    """Symbol k is the k-th pixel: all templates are equally far from each other."""
    images = np.eye(P, side**2, dtype=np.float32).reshape(P, 1, side, side)
    return SymbolBank(images, images, images, tuple(f"s{k}" for k in range(P)))


def pixel_banks(*members):
    return {bank_key(m.config): pixel_bank(m.config.P, m.config.side) for m in members}


def wave_images(order, k, X=64):
    """(P, X) images that are a wave of frequency k over the elements of the group, all distinct."""
    pattern = np.random.default_rng(0).standard_normal((2, X))
    angle = 2 * np.pi * k * np.arange(order.n) / order.n
    images = np.zeros((order.P, X))
    images[list(order.elements)] = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ pattern
    return torch.from_numpy(images).float()


class Nearest(MeanDecoder):
    """A decoder of images that are drawn instead of those of the bank.

    Args:
        drawn: (P, X) standardized images.
    """

    def __init__(self, bank, drawn):
        S = bank.images.shape[-1]
        self.means = bank.ink(drawn.view(-1, S, S)).flatten(1)


# --- a member that looks its answers up -----------------------------------------------------------


def lookup_config(**changes):
    """The structure that `lookup_member` needs; with mul and div also P = 7."""
    P = changes.get("P", 7)
    fixed = {"width": 4 * P + 4, "heads": 2, "ffn": P**2, "norm": "none", "side": 8, "patch": 8}
    return tiny(**(fixed | changes))


def lookup_member(config, bank, table, drawn=None):
    """A member that draws `drawn[table[a, b]]` for every pair, at every noise level.

    Head 0 reads which symbol a is, head 1 which one b is; there is one neuron a pair, and it writes
    the answer. UNDEFINED draws the mean image of the bank.

    Args:
        drawn: (P, X) standardized images; by default the mean image of every class.
    """
    P, E = config.P, config.width // 2
    seen = torch.from_numpy(bank.standardized).flatten(2).double()  # (P, N, X)
    N, X = seen.shape[1:]
    member = Member.start(config)
    member.state.average.zero_()
    p = {k: v[0] for k, v in Layout(config.shape).views(member.state.average).items()}
    symbol, mark, of_a, of_b, answer = 0, P, P + 2, 2 * P + 2, 3 * P + 2
    # the affine map from images to the symbol's unit vector
    affine = torch.cat([seen.flatten(0, 1), torch.ones(P * N, 1)], dim=1)
    solution = torch.linalg.pinv(affine) @ torch.eye(P).double().repeat_interleave(N, 0)
    p["embed.w"][:, symbol : symbol + P], p["embed.b"][symbol : symbol + P] = solution.split([X, 1])
    k = torch.arange(P)
    for head, written in ((0, of_a), (1, of_b)):
        first = head * E
        p["position"][head, mark + head] = 1
        p["block0.query.b"][first] = 50 * E**0.5  # all attention to its operand
        p["block0.key.w"][mark + head, first] = 1
        p["block0.value.w"][symbol + k, first + k] = 1
        p["block0.out.w"][first + k, written + k] = 1
    pairs = np.argwhere(table != UNDEFINED)
    neuron = torch.arange(len(pairs))
    a, b = torch.from_numpy(pairs).T
    p["block0.ffn.up.w"][of_a + a, neuron] = ON
    p["block0.ffn.up.w"][of_b + b, neuron] = ON
    p["block0.ffn.up.b"].fill_(-1.5 * ON)
    p["block0.ffn.down.w"][neuron, answer + torch.from_numpy(table[a, b])] = 2 / ON
    p["final.w"][answer + k] = (seen.mean(1) if drawn is None else drawn).to(p["final.w"])
    member.state.weights.copy_(member.state.average)
    return member


def wave_neurons_member(config, bank, k):
    """A member of two blocks that draws by the rule; the neurons that write the answer are waves of
    frequency k over the result before their non-linearity, and make all others by it."""
    P, answer, drawn = config.P, 3 * config.P + 2, 4 * config.P + 4
    member = lookup_member(config, bank, rule_table(config))
    p = {name: v[0] for name, v in Layout(config.shape).views(member.state.average).items()}
    c, phase = torch.arange(P), 2 * np.pi * torch.arange(config.ffn) / config.ffn
    pre_PF = ON * torch.cos(2 * np.pi * k * c[:, None] / P - phase)
    p["block1.ffn.up.w"][answer + c] = pre_PF
    to_class_FP = torch.linalg.pinv(torch.nn.functional.gelu(pre_PF).double())
    p["block1.ffn.down.w"][:, drawn + c] = to_class_FP.float()
    p["final.w"][drawn + c] = p["final.w"][answer + c]
    p["final.w"][answer + c] = 0
    member.state.weights.copy_(member.state.average)
    return member


def rule_table(config):
    return result_table(config.op, config.P)


def memorizer_table(config):
    """Right on training pairs; on all others a random wrong class."""
    P = config.P
    rng = np.random.default_rng(config.seed)
    wrong = (rule_table(config) + rng.integers(1, P, (P, P))) % P
    trains = np.zeros((P, P), dtype=bool)
    trains[tuple(split_pairs(config).train.T)] = True
    return np.where(trains, rule_table(config), wrong)


def rule_follower(config, bank):
    return lookup_member(config, bank, rule_table(config))


def memorizer(config, bank):
    return lookup_member(config, bank, memorizer_table(config))


def follower_probe(make=rule_follower, pixels=False, **changes):
    """Over the grid of one such member, with random patterns or single pixels for symbols."""
    config = lookup_config(**changes)
    bank = pixel_bank(config.P, 8) if pixels else synthetic_bank(config.P, config.N, config.side)
    return probe_of(make(config, bank), banks={bank_key(config): bank})


def wave_probe(k, op="add", **changes):
    """A member whose images are waves of frequency k over the results: its probe and decoders."""
    config = lookup_config(op=op, **changes)
    bank = pixel_bank(config.P, 8)
    drawn = wave_images(cyclic_order(op, config.P), k)
    member = lookup_member(config, bank, rule_table(config), drawn)
    probe = probe_of(member, banks={bank_key(config): bank})
    return probe, {bank_key(config): Nearest(bank, drawn)}
