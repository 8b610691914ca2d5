"""Where things are, from the environment: the only module that reads it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

DEFAULT_STORE = "runs"


@dataclass(frozen=True)
class Settings:
    """Endpoints and paths of one process."""

    store: str
    """A folder (absolute) or `s3://bucket/prefix`; GROK_STORE."""
    tracking_uri: str
    """MLflow; MLFLOW_TRACKING_URI, by default SQLite inside a folder store."""
    data_root: str
    """Folder of the EMNIST and Kuzushiji files (absolute); GROK_DATA."""
    s3_endpoint: str | None
    """AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, for S3 that is not Amazon's."""


class SettingsError(ValueError):
    """The environment or the flags do not say where something is."""


def load_settings(store: str | None = None, data_root: str | None = None) -> Settings:
    """Settings from flags first, then the environment, then defaults.

    Raises:
        SettingsError: an S3 store without MLFLOW_TRACKING_URI, or a store that is no folder or S3.
    """
    env = os.environ
    place = store if store is not None else env.get("GROK_STORE", default_store())
    if not place.strip():
        raise SettingsError("store = '': need a folder or s3://bucket/prefix")
    if "://" in place and not place.startswith("s3://"):
        raise SettingsError(f"store = {place!r}: need a folder or s3://bucket/prefix")
    if not place.startswith("s3://"):
        folder = Path(place).expanduser().resolve()
        if folder.exists() and not folder.is_dir():
            raise SettingsError(f"store = {place!r} is a file: need a folder or s3://bucket/prefix")
        place = str(folder)
    tracking = env.get("MLFLOW_TRACKING_URI", "")
    if not tracking:
        if place.startswith("s3://"):
            raise SettingsError(
                f"store = {place!r} but MLFLOW_TRACKING_URI is not set: with an S3 store name the "
                "MLflow server or database, such as http://host:5000 or postgresql://..."
            )
        tracking = f"sqlite:///{place}/mlflow.db"
    return Settings(
        store=place.rstrip("/"),
        tracking_uri=tracking,
        data_root=str(Path(data_root or env.get("GROK_DATA", "data")).expanduser().resolve()),
        s3_endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL"),
    )


def default_store() -> str:
    """`./runs`; in a submitted Ray job, whose folder is a temporary upload, `~/grok-runs`."""
    in_upload = "runtime_resources" in Path.cwd().parts
    return str(Path.home() / "grok-runs") if in_upload else DEFAULT_STORE


def without_password(text: str) -> str:
    """The text with the passwords of all URIs in it as three stars."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", text)
