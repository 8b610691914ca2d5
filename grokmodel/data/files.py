"""What a reader of data files returns, and what it says of a file that is not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokmodel.errors import DataError

Labeled = tuple[np.ndarray, np.ndarray]
"""Upright images (n, S, S) uint8 and labels (n,) uint8."""


@dataclass(frozen=True)
class Raw:
    """A data set as its files have it."""

    train: Labeled
    test: Labeled
    names: dict[int, str]
    """What a label shows, where that is known."""


def not_found(path: Path, hint: str) -> DataError:
    where = f"put {hint} there, or name their folder by --data-root or GROK_DATA"
    return DataError(f"{path}: not found; {where}")
