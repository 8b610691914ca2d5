"""Trials and image banks so small that a test may train them."""

import dataclasses
import math

import numpy as np
import torch

from grokmodel.core.outcome import Evaluation
from grokmodel.data.bank import SymbolBank
from grokmodel.families import train
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.family import ImageInputs
from grokmodel.image.model import Layout
from grokmodel.image.pack import Member, bank_key

CPU = torch.device("cpu")


def tiny(**changes):
    """A trial of about 3,000 parameters; every field that a test relies on is set here."""
    values = {
        "op": "add",
        "P": 7,
        "N": 1,
        "train_fraction": 0.6,
        "split": "ordered",
        "side": 8,
        "patch": 8,
        "width": 16,
        "depth": 1,
        "heads": 1,
        "ffn": 16,
        "variant": "baseline",
        "norm": "ffn",
        "activation": "gelu",
        "init_scale": 0.5,
        "input_gate": True,
        "loss": "x0",
        "t_distribution": "logit-normal",
        "t_mean": 3.0,
        "t_std": 2.0,
        "ema": 0.98,
        "t_levels": 8,
        "sample_steps": 2,
        "final_sample_steps": 3,
        "batch": 32,
        "steps": 20,
        "warmup": 5,
        "eval_every": 5,
        "eval_pairs": 64,
        "seed": 1,
    }
    return TrialConfig(**(values | changes))


def fields_of_type(name):
    """Names of the config fields of a type: `int`, `float`, `bool` or `str`."""
    return [f.name for f in dataclasses.fields(TrialConfig) if f.type == name]


def synthetic_bank(P, N, side, held_out=2):
    """Random patterns, one a class; the images of a class are its pattern and a little noise."""
    rng = np.random.default_rng([P, side])
    pattern = rng.random((P, 1, side, side))
    images = pattern + 0.05 * rng.standard_normal((P, N + held_out, side, side))
    images = np.clip(images, 0, 1).astype(np.float32)
    train, held = images[:, :N], images[:, N:]
    return SymbolBank(train, held, train, tuple(f"s{k}" for k in range(P)))


def banks_for(*configs):
    return {bank_key(c): synthetic_bank(c.P, c.N, c.side) for c in configs}


def decoders_for(banks):
    return {key: MeanDecoder(bank) for key, bank in banks.items()}


def inputs_for(*configs):
    """Synthetic banks, and what reads samples of them."""
    banks = banks_for(*configs)
    return ImageInputs(banks, decoders_for(banks))


def rounds(members):
    """The training generator over members with synthetic banks."""
    return train(members, inputs_for(*(m.config for m in members)), CPU)


def train_together(*configs):
    """Members trained as one pack until each has finished."""
    members = [Member.start(c) for c in configs]
    for _ in rounds(members):
        pass
    return members


def curve_array(curve):
    """(E, fields) array of a curve."""
    return np.array([list(vars(e).values()) for e in curve], dtype=float)


def assert_same_training(member, other, tolerance=1e-4):
    """Equal curves and weights but for rounding."""
    curves = [curve_array(m.curve) for m in (member, other)]
    np.testing.assert_allclose(*curves, rtol=tolerance)
    layout = Layout(member.config.shape)
    for rows in ("weights", "average"):
        mine, theirs = (layout.views(getattr(m.state, rows)) for m in (member, other))
        for name in mine:
            assert (mine[name] - theirs[name]).norm() <= tolerance * theirs[name].norm(), name


def evaluation(step, train=0.0, val=0.0, strict=0.0, loss=0.5, copies=math.nan):
    return Evaluation(step, loss, train, val, strict, copies, weight_norm=1.0)
