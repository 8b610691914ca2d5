"""Where things are, from the environment: the only module that reads it."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from grokmodel.errors import UserError

DEFAULT_STORE = "runs"
ARTIFACTS = "mlartifacts"
BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/?#]+)*/*$")
SQLITE = re.compile(r"(sqlite(?:\+\w+)?://)(?:/([^?]*))?(\?.*)?", re.DOTALL)
"""Scheme, file and query."""
PROGRAMS = ("auto", "eager", "graph", "compiled")
"""As in `grokmodel.core.execution`, which loads torch."""
SECRETS = (
    # a user alone is a token on the web; of a database, which may ask for no password, it is a name
    (re.compile(r"(https?://)[^:/?#\s]+:?@"), r"\1***@"),
    # to the last @ before the next URI: a password may have @ and / in it
    (re.compile(r"(://[^:/\s]*):(?:(?!://)\S)*@"), r"\1:***@"),
    (re.compile(r"([?&]\w*passw(?:or)?d=)[^&\s]*"), r"\1***"),
)
"""What of a URI is not for others, and what is shown in its place; in this order."""


@dataclass(frozen=True)
class Settings:
    """Endpoints and paths of one process."""

    store: str
    """A folder (absolute) or `s3://bucket/prefix`; GROK_STORE."""
    tracking_uri: str
    """MLflow; MLFLOW_TRACKING_URI, by default SQLite inside a folder store."""
    data_root: str
    """Folder of the EMNIST, Kuzushiji and Omniglot files (absolute); GROK_DATA."""
    s3_endpoint: str | None = None
    """AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, for S3 that is not Amazon's."""
    s3_region: str = "us-east-1"
    """AWS_REGION or AWS_DEFAULT_REGION."""
    checkpoint_s: float = 30.0
    """Seconds between resume points, the work that a kill can cost; GROK_CHECKPOINT_S."""
    optuna: str = ""
    """Database of Optuna's studies; GROK_OPTUNA, by default SQLite inside a folder store."""
    program: str = "auto"
    """How steps are run, one of PROGRAMS; GROK_PROGRAM, by default what suits device and trials."""

    @property
    def artifacts(self) -> str:
        """Where MLflow keeps the files of this store's sweeps."""
        return f"{self.store}/{ARTIFACTS}"

    def __repr__(self) -> str:
        return f"Settings({self.store!r}, {without_password(self.tracking_uri)!r})"

    def __getstate__(self) -> dict[str, Any]:
        """What other processes get: never a password. They take it from their own environment."""
        kept = {name: without_password(getattr(self, name)) for name in ("tracking_uri", "optuna")}
        return vars(self) | kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        mine = os.environ.get("MLFLOW_TRACKING_URI", "")
        if without_password(mine) == state["tracking_uri"]:
            state = state | {"tracking_uri": mine}
        vars(self).update(state)


class SettingsError(UserError, ValueError):
    """The environment or the flags do not say where something is."""


def load_settings(
    store: str | None = None, data_root: str | None = None, tracking: bool = True
) -> Settings:
    """Settings from flags first, then the environment, then defaults.

    Args:
        tracking: whether MLflow is needed; without, `tracking_uri` may be empty.

    Raises:
        SettingsError: an S3 store without MLFLOW_TRACKING_URI, a store that is no folder or S3, or
            a database that other processes would not find.
    """
    env = os.environ
    place = _place(store if store is not None else env.get("GROK_STORE", default_store()))
    uri = _seen_from_here("MLFLOW_TRACKING_URI", env.get("MLFLOW_TRACKING_URI", ""))
    if not uri and not place.startswith("s3://"):
        uri = sqlite_uri(f"{place}/mlflow.db")
    if tracking and not uri:
        raise SettingsError(
            f"store = {place!r} but MLFLOW_TRACKING_URI is not set: with an S3 store name the "
            "MLflow server or database, such as http://host:5000 or postgresql://..."
        )
    return Settings(
        store=place,
        tracking_uri=uri,
        data_root=str(_folder("data-root", data_root or env.get("GROK_DATA", "data"))),
        s3_endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
        s3_region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
        optuna=_database(env.get("GROK_OPTUNA", "")),
        checkpoint_s=_seconds("GROK_CHECKPOINT_S", Settings.checkpoint_s),
        program=_program("GROK_PROGRAM"),
    )


def _place(text: str) -> str:
    """A store as it was named, checked: an absolute folder or `s3://bucket/prefix`."""
    if not isinstance(text, str):  # `--store=--` is a list to argparse
        raise SettingsError("store = '--': need a folder or s3://bucket/prefix")
    if text.startswith("s3://"):
        if not BUCKET.match(text):
            raise SettingsError(
                f"store = {text!r}: need s3://bucket/prefix; a bucket has 3 to 63 lower-case "
                "letters, digits, '.' and '-'"
            )
        return text.rstrip("/")
    if "://" in text or not text.strip():
        raise SettingsError(f"store = {text!r}: need a folder or s3://bucket/prefix")
    folder = _folder("store", text)
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"store = {text!r} is a file: need a folder or s3://bucket/prefix")
    if not _can_be_in_uri(str(folder)):
        raise SettingsError(
            f"store = {str(folder)!r}: MLflow takes % or ? in a path for parts of a URI; need a "
            "folder without them"
        )
    return str(folder)


def _folder(name: str, text: str) -> Path:
    """An absolute path, which need not be there."""
    try:
        folder = Path(text).expanduser().resolve()
        folder.exists()  # a name too long, or not a name at all, shows here
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(f"{name} = {text[:200]!r}: {error!s:.200}; need a folder") from error
    return folder


def _database(text: str) -> str:
    if text and "://" not in text:
        raise SettingsError(
            f"GROK_OPTUNA = {text!r}: need sqlite:///FILE or postgresql://user@host/database"
        )
    return _seen_from_here("GROK_OPTUNA", text)


def sqlite_uri(path: str) -> str:
    """URI of a SQLite file. SQLAlchemy takes escapes out of it and MLflow does not, so it has none;
    a path that needs them has been refused."""
    return f"sqlite:///{path}"


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for another database, one in memory, and SQLite's own URIs."""
    match = SQLITE.fullmatch(uri)
    path = unquote(match[2] or "") if match else ""
    return None if path in ("", ":memory:") or path.startswith("file:") else Path(path)


def _can_be_in_uri(path: str) -> bool:
    return not {"%", "?"} & set(path)


def _seen_from_here(name: str, uri: str) -> str:
    """The URI of a database, absolute if it is a file: workers stand in other folders."""
    match, file = SQLITE.fullmatch(uri), sqlite_file(uri)
    if match is None or (file is None and (match[2] or "").startswith("file:/")):
        return uri
    if file is None or not _can_be_in_uri(path := os.path.abspath(file)):
        raise SettingsError(
            f"{name} = {uri!r}: other processes would not find it; need sqlite:///FILE, without "
            "% or ? in its path, or a server"
        )
    return f"{match[1]}/{path}{match[3] or ''}"


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise SettingsError(f"{name} = {text!r}: need seconds, 0 or more")
    return seconds


def _program(name: str) -> str:
    text = os.environ.get(name) or PROGRAMS[0]
    if text not in PROGRAMS:
        raise SettingsError(f"{name} = {text!r}: need one of {', '.join(PROGRAMS)}")
    return text


def default_store() -> str:
    """`./runs`; in a submitted Ray job, whose folder is a temporary upload, `~/grok-runs`."""
    in_upload = "runtime_resources" in Path.cwd().parts
    return str(Path.home() / "grok-runs") if in_upload else DEFAULT_STORE


def without_password(text: str) -> str:
    """The text with the passwords of all URIs in it as three stars, wherever in a URI they stand;
    so are the tokens that stand for a user and a password."""
    for secret, shown in SECRETS:
        text = secret.sub(shown, text)
    return text
