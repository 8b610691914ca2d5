"""Named parts in one zip file, which is written whole or not at all; never pickle.

The same parts give the same bytes. Weights and what is compressed are stored as they are, all else
is compressed.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from grokmodel.errors import UserError

WEIGHTS = ".safetensors"
STORED = (WEIGHTS, ".gz")
"""Endings of parts that hardly shrink."""
OVERHEAD = 128
"""Bytes that a part takes beside its name, which stands there twice, and its content."""
UNFINISHED = ".unfinished-"
"""How the name of a file begins that is being written."""
Parts = Mapping[str, bytes]


class ArchiveError(UserError, ValueError):
    """A file cannot be read or written. Names it, what was found and what is needed."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


class Archive:
    """A zip file to be read.

    Args:
        kind: what the file should be, in words.

    Raises:
        ArchiveError: it is not there, or no zip file.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        try:
            with zipfile.ZipFile(path) as found:
                self.names = found.namelist()
        except OSError as error:
            raise ArchiveError(path, f"{error.strerror}; need {kind}") from error
        except zipfile.BadZipFile as error:
            raise ArchiveError(path, f"no zip file; need {kind}") from error

    def read(self, name: str) -> bytes:
        """Content of a part.

        Raises:
            ArchiveError: it is missing or damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as found:
                return found.read(name)
        except KeyError as error:
            raise ArchiveError(self.path, f"has no {name}; need {self.kind}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise self.damaged(name, error) from error

    def damaged(self, name: str, problem: object) -> ArchiveError:
        """The error of a part whose content is not what it should be."""
        said = " ".join(str(problem).split())[:300]
        return ArchiveError(self.path, f"{name} is damaged ({said}); need {self.kind}")


def write(path: Path, parts: Parts) -> int:
    """Write a zip file in place of one that is there; returns its size.

    Raises:
        ArchiveError: it cannot be written.
    """
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    try:
        with zipfile.ZipFile(unfinished, "w") as out:
            for name, data in parts.items():
                info = zipfile.ZipInfo(name)  # with a date of its own: the same for all
                info.compress_type = method(name)
                out.writestr(info, data)
        size = unfinished.stat().st_size
        unfinished.replace(path)
    except OSError as error:
        raise ArchiveError(path, f"{error.strerror}; need a file that can be written") from error
    return size


def size_of(parts: Parts) -> int:
    """Bytes that parts take in a zip file, at most."""
    return sum(
        OVERHEAD + 2 * len(name)
        + (len(data) if method(name) == zipfile.ZIP_STORED else len(zlib.compress(data)))
        for name, data in parts.items()
    )  # fmt: skip


def method(name: str) -> int:
    """How a part is compressed."""
    return zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
