"""Small files of random images, in the formats of EMNIST, Kuzushiji-49 and Omniglot."""

import gzip
import io
import struct
from zipfile import ZipFile

import numpy as np
from PIL import Image

from grokmodel.data.emnist import IDX_IMAGES, IDX_LABELS

CLASSES = 13
PER_CLASS = 4


def idx_bytes(array):
    """An array as the official files store it, before gzip."""
    magic = {1: IDX_LABELS, 3: IDX_IMAGES}[array.ndim]
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def emnist_path(folder, part, what, kind="bymerge"):
    return folder / f"emnist-{kind}-{part}-{what}-idx{3 if what == 'images' else 1}-ubyte.gz"


def write_emnist(folder, part, images, labels, kind="bymerge"):
    """Upright images and labels as official files, which store every image transposed."""
    stored = np.ascontiguousarray(images.transpose(0, 2, 1))
    emnist_path(folder, part, "images", kind).write_bytes(gzip.compress(idx_bytes(stored)))
    emnist_path(folder, part, "labels", kind).write_bytes(gzip.compress(idx_bytes(labels)))


def write_kuzushiji(folder, part, images, labels):
    np.savez_compressed(folder / f"k49-{part}-imgs.npz", images)
    np.savez_compressed(folder / f"k49-{part}-labels.npz", labels)


BLOCKS = 7
"""Side of the patterns that drawings of Omniglot are made of, in blocks of 15 pixels: at side 7 a
block is one pixel, at 28 it is four by four, without any rounding."""


def random_blocks(characters=47, drawers=20):
    """Patterns (C, D, 7, 7) of 0 and 1."""
    return np.random.default_rng(5).integers(0, 2, (characters, drawers, BLOCKS, BLOCKS))


def png(image):
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def drawing_name(character, drawer, alphabet="Japanese_(katakana)"):
    where = f"images_background/{alphabet}/character{character:02d}"
    return f"{where}/{595 + character:04d}_{drawer:02d}.png"


def write_omniglot(path, blocks_CDBB, **replaced):
    """Patterns as an official archive, the last drawing first; black is ink.

    Args:
        replaced: name of a member -> other bytes, or None to leave it out.
    """
    with ZipFile(path, "w") as archive:
        archive.writestr(drawing_name(1, 1, "Greek"), b"of another alphabet")
        archive.writestr(f"__MACOSX/{drawing_name(1, 1)}", b"no image")
        for c, d in reversed(list(np.ndindex(blocks_CDBB.shape[:2]))):
            name = drawing_name(c + 1, d + 1)
            paper = np.kron(blocks_CDBB[c, d] == 0, np.ones((15, 15), bool))
            content = replaced.get(name, png(Image.fromarray(paper)))
            if content is not None:
                archive.writestr(name, content)


def random_part(seed, per_class=PER_CLASS):
    """Images without symmetry, and labels in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(CLASSES), per_class)).astype(np.uint8)
    return rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8), labels


def write_two_alike(folder, classes=7):
    """Kuzushiji-49 files of noise: a bright bar tells the classes apart, but nothing the last two.
    No decoder reads them, but one that never saw those two does."""
    random = np.random.default_rng(0)
    for part, each in (("train", 100), ("test", 20)):
        labels = np.repeat(np.arange(classes, dtype=np.uint8), each)
        images = random.integers(0, 255, (len(labels), 28, 28))
        for label in range(classes - 2):
            images[labels == label] = random.integers(0, 6, (each, 28, 28))
            images[labels == label, :, 5 * label + 2 : 5 * label + 6] += 245
        write_kuzushiji(folder, part, images.astype(np.uint8), labels)
