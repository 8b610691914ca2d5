"""One store for folders and S3: every path of the project is made here.

    checkpoints/<trial_id>/state.safetensors      resume point, gone once the trial is done
    checkpoints/<trial_id>/step=<n>.safetensors   snapshots for analyses; the last is the result
    decoders/<key>.safetensors                    image classifiers, shared by trials
    tables/<table>/sweep=<name>/<part>.parquet
    sweeps/<name>.json                            the sweep's configs
    figures/<sweep>/...                           about the whole sweep; report.html
    trial_figures/<sweep>/<trial_id>/...
    outbox/<sweep>/<trial_id>                     MLflow lacks something of this trial

Keys are deterministic and a rewrite writes the same content, so there are no locks. A write is seen
whole or not at all.
"""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyarrow import fs

from service.settings import Settings


class StoreError(RuntimeError):
    """The store cannot be used. Names the store, what failed and what would help."""


class Store:
    """Bytes under keys, in a folder or in S3."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.store
        self.is_s3 = self.url.startswith("s3://")
        if self.is_s3:
            self.root = self.url.removeprefix("s3://")
            self.fs: fs.FileSystem = _s3(settings.s3_endpoint)
        else:
            self.root = self.url
            self.fs = fs.LocalFileSystem()

    def path(self, key: str) -> str:
        """Path of a key for `self.fs`."""
        return f"{self.root}/{key}"

    def uri(self, key: str) -> str:
        """Path of a key as people and other programs write it."""
        return f"{self.url}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write an object; readers see the old content or the new, never a part."""
        path = self.path(key)
        if self.is_s3:
            with self.fs.open_output_stream(path) as stream:
                stream.write(data)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # a leading dot hides the unfinished file from Parquet readers
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        """Content of an object; FileNotFoundError if there is none."""
        with self.fs.open_input_stream(self.path(key)) as stream:
            return stream.read()

    def get_or_none(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        return self.fs.get_file_info(self.path(key)).type != fs.FileType.NotFound

    def list(self, prefix: str) -> list[str]:
        """Sorted keys of all objects below `prefix/`, hidden ones left out."""
        selector = fs.FileSelector(self.path(prefix), allow_not_found=True, recursive=True)
        files = [i.path for i in self.fs.get_file_info(selector) if i.type == fs.FileType.File]
        keys = (path.removeprefix(f"{self.root}/") for path in files)
        return sorted(key for key in keys if not key.rsplit("/", 1)[-1].startswith("."))

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""
        try:
            self.fs.delete_file(self.path(key))
        except FileNotFoundError:
            return

    def delete_folder(self, prefix: str) -> None:
        """Remove all objects below `prefix/`, and the folder."""
        if self.fs.get_file_info(self.path(prefix)).type == fs.FileType.Directory:
            self.fs.delete_dir(self.path(prefix))

    def preflight(self) -> None:
        """Write, read, list and delete one object.

        Raises:
            StoreError: naming the first of these that fails, before anything else is started.
        """
        key = f"preflight/{uuid.uuid4().hex}"
        failed = "write"
        try:
            self.put(key, b"grok")
            failed = "read"
            if self.get(key) != b"grok":
                raise OSError("what was read differs from what was written")
            failed = "list"
            if key not in self.list("preflight"):
                raise OSError("the object is not listed")
            failed = "delete"
            self.delete(key)
            self.delete_folder("preflight")
        except OSError as error:
            hint = "its bucket, AWS_* and AWS_ENDPOINT_URL_S3" if self.is_s3 else "its permissions"
            raise StoreError(
                f"store {self.url}: cannot {failed} an object: {error}. Check {hint}"
            ) from error


def _s3(endpoint: str | None) -> fs.S3FileSystem:
    # pyarrow may overlook AWS_ENDPOINT_URL_S3 (apache/arrow#49643), so it is passed
    options: dict[str, Any] = {"region": os.environ.get("AWS_REGION", "us-east-1")}
    if endpoint:
        parts = urlsplit(endpoint)
        options |= {"endpoint_override": parts.netloc, "scheme": parts.scheme}
    return fs.S3FileSystem(**options)


def state_key(trial_id: str) -> str:
    return f"checkpoints/{trial_id}/state.safetensors"


def snapshot_key(trial_id: str, step: int) -> str:
    return f"checkpoints/{trial_id}/step={step}.safetensors"


def snapshot_steps(store: Store, trial_id: str) -> list[int]:
    """Steps of which the trial has a snapshot."""
    names = (key.rsplit("/", 1)[-1] for key in store.list(f"checkpoints/{trial_id}"))
    found = (re.fullmatch(r"step=(\d+)\.safetensors", name) for name in names)
    return sorted(int(match[1]) for match in found if match)


def decoder_key(key: str) -> str:
    return f"decoders/{key}.safetensors"


def table_key(table: str, sweep: str, part: str) -> str:
    return f"tables/{table}/sweep={sweep}/{part}.parquet"


def sweep_key(sweep: str) -> str:
    return f"sweeps/{sweep}.json"


def figures_prefix(sweep: str) -> str:
    """Figures that are about the whole sweep, and its report."""
    return f"figures/{sweep}"


def trial_figure_key(sweep: str, trial_id: str, name: str) -> str:
    """Apart from the figures of sweeps, which are drawn anew when a sweep grows."""
    return f"trial_figures/{sweep}/{trial_id}/{name}"


def outbox_key(sweep: str, name: str) -> str:
    """Marker of a trial, or of the sweep itself, that MLflow lacks."""
    return f"outbox/{sweep}/{name}"
