"""Objects in a folder: what a store is made of. `service/store/s3.py` is the same in S3."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from pyarrow.fs import FileSystem, LocalFileSystem

from grokmodel.errors import UserError

FOLDER_TRIES = 5
"""Times that a folder is made for a file: two processes rarely meet there even once."""


class StoreError(UserError, RuntimeError):
    """The store cannot be used. Names the store, what failed and what would help."""


@dataclass(frozen=True)
class Entry:
    """An object of a listing."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    """When it was written, by the store's clock."""

    @property
    def is_hidden(self) -> bool:
        """A file that is still being written, or was when its writer was killed."""
        return self.key.rsplit("/", 1)[-1].startswith(".")


class Objects(Protocol):
    """Bytes under keys. What cannot be done raises an OSError or the library's own error."""

    root: str
    """Prefix of the keys for `fs`."""

    @property
    def fs(self) -> FileSystem:
        """The same for libraries that read files by themselves."""
        ...

    def put(self, key: str, data: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def exists(self, key: str) -> bool: ...
    def entries(self, prefix: str) -> Iterator[Entry]: ...
    def delete(self, key: str) -> None: ...
    def delete_folder(self, prefix: str) -> None: ...
    def delete_empty_folder(self, prefix: str) -> None: ...

    def free_bytes(self) -> int | None:
        """What can still be written; None if nobody can tell."""
        ...

    def is_passing(self, error: Exception) -> bool:
        """Whether the same call may succeed in a while."""
        ...

    def explain(self, error: Exception) -> str:
        """What an error means here, and what would help."""
        ...


class Folder:
    """A folder of this machine, or one that all nodes mount."""

    PASSING = (errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EIO)
    """Space may be made and a network folder come back."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.fs: FileSystem = LocalFileSystem()

    def put(self, key: str, data: bytes) -> None:
        target = Path(self.root, key)
        # a leading dot hides the unfinished file from Parquet readers
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            _write(part, data)
            part.replace(target)
        except FileNotFoundError as error:
            raise OSError(errno.ENOTDIR, f"cannot make {target.parent}") from error
        finally:
            with contextlib.suppress(OSError):  # its folder may not be there
                part.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        return Path(self.root, key).read_bytes()

    def exists(self, key: str) -> bool:
        return Path(self.root, key).is_file()

    def entries(self, prefix: str) -> Iterator[Entry]:
        for folder, _, names in os.walk(Path(self.root, prefix), onerror=_raise_unless_gone):
            for name in names:
                path = Path(folder, name)
                try:
                    info = path.stat()
                except FileNotFoundError:  # deleted while the folder was listed
                    continue
                key = path.relative_to(self.root).as_posix()
                yield Entry(key, info.st_size, datetime.fromtimestamp(info.st_mtime, UTC))

    def delete(self, key: str) -> None:
        Path(self.root, key).unlink(missing_ok=True)

    def delete_folder(self, prefix: str) -> None:
        """Whatever is below it, and the folder; others may add and delete at the same time."""
        for folder, _, names in os.walk(Path(self.root, prefix), topdown=False):
            for name in names:
                Path(folder, name).unlink(missing_ok=True)
            _rmdir(Path(folder))

    def delete_empty_folder(self, prefix: str) -> None:
        _rmdir(Path(self.root, prefix))

    def free_bytes(self) -> int:
        folder = Path(self.root)
        while not folder.exists():  # it is made when something is written
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def is_passing(self, error: Exception) -> bool:
        return isinstance(error, OSError) and error.errno in self.PASSING

    def explain(self, error: Exception) -> str:
        if not isinstance(error, OSError):
            return str(error)
        said = error.strerror or str(error)  # the name of a temporary file would tell nothing
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{said}. Make room there"
        if error.errno == errno.EROFS:
            return f"{said}. Name a folder that can be written"
        return f"{said}. Check that it is a folder, and its permissions"


def _made(part: Path) -> BinaryIO:
    """A new file. Its folder is made too: again if others, who find it empty, remove it."""
    for _ in range(FOLDER_TRIES):
        try:
            return part.open("wb")
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError, FileExistsError):  # removed meanwhile
                part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("wb")


def _raise_unless_gone(error: OSError) -> None:
    """A folder that cannot be read must not look empty."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _rmdir(folder: Path) -> None:
    """Remove a folder, unless there is something in it or it is gone already."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise


def _write(part: Path, data: bytes) -> None:
    """Write a file that is on the disk when this returns."""
    with _made(part) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
