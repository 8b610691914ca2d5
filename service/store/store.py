"""One store for folders and S3; `keys` says what lies where.

Keys are deterministic and a rewrite writes the same content, so there are no locks. A write is seen
whole or not at all.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pyarrow import fs

from service.retry import retry
from service.settings import Settings
from service.store.objects import Entry, Folder, Objects, StoreError

__all__ = ["Entry", "Store", "StoreError"]

log = logging.getLogger("grok")

PATIENCE_S = 90.0
"""How long a store that is away, or full, is tried before the work that needs it fails."""
PREFLIGHT_S = 5.0
"""The same at the start, when somebody waits for an answer."""
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 5.0
DELETED_AT_ONCE = 16
"""Objects: in S3 one takes long, whatever its size."""

T = TypeVar("T")


class Store:
    """Bytes under keys, in a folder or in S3.

    Every call is tried again for a while when the store is away or full, and raises a StoreError
    that names the store, what could not be done and what would help.
    """

    def __init__(self, settings: Settings, patience_s: float = PATIENCE_S) -> None:
        self.url = settings.store
        self.is_s3 = self.url.startswith("s3://")
        self.patience_s = patience_s
        self._waits: dict[object, str] = {}
        """Why each call waits that is tried again."""
        self.objects: Objects
        if self.is_s3:
            from service.store.s3 import Bucket  # slow to import, and not needed for a folder

            root = self.url.removeprefix("s3://")
            self.objects = Bucket(root, settings.s3_endpoint, settings.s3_region)
        else:
            self.objects = Folder(self.url)

    @property
    def fs(self) -> fs.FileSystem:
        """The same objects for libraries that read and write files by themselves."""
        return self.objects.fs

    @property
    def waiting(self) -> str:
        """Why a call of any thread waits; empty while none does."""
        return next(iter(list(self._waits.values())), "")

    def path(self, key: str) -> str:
        """Path of a key for `self.fs`."""
        return f"{self.objects.root}/{key}"

    def uri(self, key: str) -> str:
        """Path of a key as people and other programs write it."""
        return f"{self.url}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write an object; readers see the old content or the new, never a part."""
        self.retry("write", key, lambda: self.objects.put(key, data))

    def get(self, key: str) -> bytes:
        """Content of an object; FileNotFoundError if there is none."""
        return self.retry("read", key, lambda: self.objects.get(key))

    def get_or_none(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        return self.retry("find", key, lambda: self.objects.exists(key))

    def entries(self, prefix: str, hidden: bool = False) -> list[Entry]:
        """All objects below `prefix/`, in the order of their keys.

        Args:
            hidden: unfinished files too.
        """
        found = self.retry("list", prefix, lambda: list(self.objects.entries(prefix)))
        return sorted((e for e in found if hidden or not e.is_hidden), key=lambda e: e.key)

    def list(self, prefix: str) -> list[str]:
        """Sorted keys of all objects below `prefix/`, hidden ones left out."""
        return [entry.key for entry in self.entries(prefix)]

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""
        self.retry("delete", key, lambda: self.objects.delete(key))

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove many objects; nothing happens for those that are not there."""
        with ThreadPoolExecutor(DELETED_AT_ONCE) as pool:
            list(pool.map(self.delete, keys))

    def delete_folder(self, prefix: str) -> None:
        """Remove all objects below `prefix/`, and the folder."""
        self.retry("delete", prefix, lambda: self.objects.delete_folder(prefix))

    def delete_empty_folder(self, prefix: str) -> None:
        """Remove a folder if nothing is in it, however new: others may be at work there."""
        self.retry("delete", prefix, lambda: self.objects.delete_empty_folder(prefix))

    def free_bytes(self) -> int | None:
        """Bytes that the disk of a folder has left; None for S3, which does not tell."""
        return self.objects.free_bytes()

    def retry(self, verb: str, key: str, call: Callable[[], T], explain: bool = True) -> T:
        """What a call returns that reads or writes this store, tried again while that may help.

        Args:
            explain: turn errors that no waiting will mend into a StoreError too.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the call fails for good, or for `patience_s`.
        """
        this = object()

        def passes(error: Exception) -> bool:
            if not self.objects.is_passing(error):
                return False
            refusal = str(self.refusal(verb, key, error))
            if this not in self._waits:
                log.warning("%s; trying again", refusal)
            self._waits[this] = refusal
            return True

        try:
            return retry(call, passes, self.patience_s, first_s=FIRST_RETRY_S, last_s=LAST_RETRY_S)
        except (FileNotFoundError, StoreError):
            raise
        except Exception as error:
            if explain or self.objects.is_passing(error):
                raise self.refusal(verb, key, error) from error
            raise
        finally:
            self._waits.pop(this, None)

    def refusal(self, verb: str, key: str, error: Exception) -> StoreError:
        """An error of this store in words: what could not be done, why and what would help."""
        return StoreError(f"store {self.url}: cannot {verb} {key}: {self.objects.explain(error)}")

    def preflight(self) -> None:
        """Write, read, list and delete one object.

        Raises:
            StoreError: naming the first of these that fails, before anything else is started.
        """
        key, patience = f"preflight/{uuid.uuid4().hex}", self.patience_s
        self.patience_s = PREFLIGHT_S
        try:
            self.put(key, b"grok")
            if self.get_or_none(key) != b"grok":
                raise StoreError(f"store {self.url}: what is read is not what was written")
            if key not in self.list("preflight"):
                raise StoreError(f"store {self.url}: an object just written is not listed")
            self.delete(key)
            if not self.is_s3:
                self.delete_empty_folder("preflight")
        finally:
            self.patience_s = patience
