"""Random numbers as a pure function of (seed, stream, step, row, column).

A counter-based generator has no state: nothing to save in a checkpoint, nothing that a pack-mate
can shift. Member m of a pack draws the same numbers alone, in any pack, at any position and on any
device, and a resumed run goes on exactly where it stopped. The mixing function is the 32-bit
finalizer `lowbias32` (C. Wellons, "Prospecting for Hash Functions", 2018).

Shapes: M members, B rows (triplets), X columns (pixels of one triplet).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TRAIN_PAIR, TRAIN_IMAGE, TRAIN_TIME, TRAIN_NOISE = 1, 2, 3, 4
EVAL_IMAGE, EVAL_TRAIN, EVAL_VAL, SITE_IMAGE, SITE_NOISE, SITE_TARGET = 5, 6, 7, 8, 9, 10
"""Streams: independent sequences for independent uses."""


def _signed(word: int) -> int:
    """The int32 with the same bits as the unsigned 32-bit `word`."""
    return word - (1 << 32) if word >= 1 << 31 else word


def _shifted_xor(word: Tensor, bits: int) -> Tensor:
    # >> on int32 copies the sign bit; the mask makes it the logical shift that the hash needs
    return word.bitwise_xor_((word >> bits).bitwise_and_((1 << (32 - bits)) - 1))


def _mix(word: Tensor) -> Tensor:
    """lowbias32, in place, on int32 that wraps."""
    word = _shifted_xor(word, 16).mul_(_signed(0x7FEB352D))
    word = _shifted_xor(word, 15).mul_(_signed(0x846CA68B))
    return _shifted_xor(word, 16)


def _row_keys(seed_M: Tensor, stream: int, step_M: Tensor, rows: int) -> Tensor:
    """One well-mixed 32-bit key for each (member, row): (M, rows) int32."""
    key_M = _mix(seed_M.to(torch.int32) ^ _signed(0x9E3779B9))
    key_M = _mix(key_M + stream)
    key_M = _mix(key_M + step_M.to(torch.int32))
    row_B = torch.arange(rows, device=seed_M.device, dtype=torch.int32) * _signed(0x9E3779B1)
    return _mix(_mix(row_B[None, :] + key_M[:, None]) ^ key_M[:, None])


def _unit(word: Tensor) -> Tensor:
    """int32 -> float32 uniform in (0, 1): 2^23 values, each exact, never 0 and never 1."""
    return (word >> 9).to(torch.float32).mul_(2.0**-23).add_(0.5 + 2.0**-24)


def uniform(seed_M: Tensor, stream: int, step_M: Tensor, rows: int) -> Tensor:
    """Uniform numbers in (0, 1), shape (M, rows), from per-member seeds and steps (M,) int64."""
    return _unit(_row_keys(seed_M, stream, step_M, rows))


def normal(seed_M: Tensor, stream: int, step_M: Tensor, rows: int, columns: int) -> Tensor:
    """Standard normal numbers, shape (M, rows, columns), by Box and Muller (1958)."""
    key_MB1 = _row_keys(seed_M, stream, step_M, rows)[:, :, None]
    pairs = (columns + 1) // 2
    col_X = torch.arange(2 * pairs, device=seed_M.device, dtype=torch.int32) * _signed(0x85EBCA6B)
    unit_MBX = _unit(_mix(col_X + key_MB1))
    radius = unit_MBX[..., :pairs].log_().mul_(-2.0).sqrt_()
    angle = unit_MBX[..., pairs:].mul_(2.0 * math.pi)
    out = torch.cat([angle.cos() * radius, angle.sin_().mul_(radius)], dim=-1)
    return out[..., :columns]
