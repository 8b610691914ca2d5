"""Rule-valid images: every group of k pixels, in reading order, has even parity.

Pixels are bits here, and -1 and 1 (`signs`) where a model sees them.

Shapes: N images, X pixels, G = X / k groups of k pixels.
"""

from __future__ import annotations

import numpy as np

from grokmodel.rules.config import PIXELS


def valid_images(group_size: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """(count, X) uint8: so many different images, each as likely as any other valid one."""
    found = np.empty((0, PIXELS), dtype=np.uint8)
    while len(found) < count:
        shape = (count, PIXELS // group_size, group_size)
        bits_NGk = generator.integers(2, size=shape, dtype=np.uint8)
        bits_NGk[..., -1] = bits_NGk[..., :-1].sum(-1) % 2
        found = np.concatenate([found, bits_NGk.reshape(count, PIXELS)])
        _, first = np.unique(found, axis=0, return_index=True)
        found = found[np.sort(first)]
    return found[:count]


def valid_groups(bits_NX: np.ndarray, group_size: int) -> np.ndarray:
    """(N, G) bool: the parity of the group is even."""
    return bits_NX.reshape(len(bits_NX), -1, group_size).sum(-1) % 2 == 0


def copies(bits_NX: np.ndarray, train_NX: np.ndarray) -> np.ndarray:
    """(N,) bool: the image is a training image."""
    return np.isin(_codes(bits_NX), _codes(train_NX))


def seen_groups(bits_NX: np.ndarray, train_NX: np.ndarray, group_size: int) -> np.ndarray:
    """(N, G) bool: a training image has the same pixels in this group."""
    parts = (x.reshape(len(x), -1, group_size) for x in (bits_NX, train_NX))
    pairs = zip(*(part.transpose(1, 0, 2) for part in parts), strict=True)
    return np.stack([copies(mine_Nk, train_Nk) for mine_Nk, train_Nk in pairs], axis=1)


def patterns(train_NX: np.ndarray, group_size: int) -> float:
    """Different contents that training images have in a group, mean over groups."""
    groups_NGk = train_NX.reshape(len(train_NX), -1, group_size)
    return float(np.mean([len(np.unique(_codes(g))) for g in groups_NGk.transpose(1, 0, 2)]))


def first_of_each(bits_NX: np.ndarray) -> np.ndarray:
    """(N,) bool: no image before it is the same."""
    _, first = np.unique(_codes(bits_NX), return_index=True)
    return np.isin(np.arange(len(bits_NX)), first)


def signs(bits_NX: np.ndarray) -> np.ndarray:
    """0 -> -1 and 1 -> 1, float32."""
    return 2.0 * bits_NX.astype(np.float32) - 1.0


def _codes(bits_NX: np.ndarray) -> np.ndarray:
    """(N,) int64: pixels as the digits of a number, different for different images."""
    return bits_NX.astype(np.int64) @ (1 << np.arange(bits_NX.shape[1], dtype=np.int64))
