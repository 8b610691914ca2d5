"""All servers of a cluster on one machine, over one folder."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.mlflow import Mlflow
from infra.local.ports import free_port, listens
from infra.local.postgres import Postgres
from infra.local.process import Server, Servers
from infra.local.ray import Ray, ports_of
from infra.local.s3 import KINDS, S3, Key

BUCKET = "sweeps"
PREFERRED = {"mlflow": 5000, "dashboard": 8265}
"""Ports that people know; others are chosen when they are taken."""


class Stack:
    """S3, PostgreSQL, MLflow and a Ray cluster; all on loopback, all with passwords of their own.

    Passwords and ports are chosen once and kept in the folder, for its owner only to read.
    """

    def __init__(
        self, folder: Path, nodes: int = 2, cpus: int = 1, preferred: bool = False
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        chosen = self._kept("secrets.json", _new_secrets)
        ports = self._kept("ports.json", lambda: _new_ports(nodes, preferred))
        owner = Key("grok:owner", chosen["s3_owner"])
        # as in infra/s3-policy.json: one bucket, and no right to make or list others
        self.key = Key("grok:sweeper", chosen["s3"], is_admin=False)
        self.s3 = S3(folder / "s3", [owner, self.key], ports["s3"])
        self.postgres = Postgres(folder / "postgres", chosen["postgres"], ports["postgres"])
        login = {"password": chosen["mlflow"], "session": chosen["session"]}
        s3_env = self.key.env(self.s3.endpoint)
        self.mlflow = Mlflow(
            folder / "mlflow",
            self.postgres.uri("mlflow"),
            self.postgres.uri("mlflow_users"),
            login,
            s3_env,
            ports["mlflow"],
        )
        digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
        work = s3_env | self.mlflow.env() | {"GROK_STORE": self.store}
        temp = Path(f"/tmp/grok-ray-{digest}")  # short: sockets lie below it
        self.ray = Ray(folder / "ray", temp, chosen["ray"], nodes, cpus, work, ports["ray"])
        self.parts: tuple[Servers, ...] = (self.s3, self.postgres, self.mlflow, self.ray)

    @property
    def store(self) -> str:
        return f"s3://{BUCKET}/grok"

    @property
    def secrets(self) -> dict[str, str]:
        """What must not be found anywhere else."""
        found: dict[str, str] = json.loads((self.folder / "secrets.json").read_text())
        return found

    def up(self) -> None:
        """Start what does not run; back when all of it answers.

        Raises:
            ServerError: one of them does not start.
        """
        self.s3.start()
        self.postgres.start()
        self.s3.wait()
        self.s3.create(BUCKET)
        self.s3.let_in(self.key, BUCKET)
        self.postgres.wait()
        for database in ("mlflow", "mlflow_users"):
            self.postgres.create(database)
        self.mlflow.start()
        self.ray.start()
        self.mlflow.wait()
        text = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in self.env().items())
        _write_secret(self.folder / "env", text)

    def down(self) -> None:
        """Stop all; what they keep stays."""
        for part in reversed(self.parts):
            part.stop()

    def kill(self) -> None:
        for part in reversed(self.parts):
            part.kill()

    def servers(self) -> list[Server]:
        return [server for part in self.parts for server in part.servers]

    def env(self) -> dict[str, str]:
        """What a driver or `grok` needs to work with this stack."""
        mine = {"GROK_STORE": self.store}
        return mine | self.key.env(self.s3.endpoint) | self.mlflow.env() | self.ray.env()

    def _kept(self, name: str, new: Any) -> dict[str, Any]:
        path = self.folder / name
        if not path.exists():
            _write_secret(path, json.dumps(new(), indent=1))
        found: dict[str, Any] = json.loads(path.read_text())
        return found


def _new_secrets() -> dict[str, str]:
    names = ("s3_owner", "s3", "postgres", "mlflow", "session", "ray")
    return {name: secrets.token_hex(24) for name in names}


def _new_ports(nodes: int, preferred: bool) -> Mapping[str, Any]:
    ray = ports_of(nodes)
    if preferred and not listens(PREFERRED["dashboard"]):
        ray["dashboard"] = PREFERRED["dashboard"]
    is_free = preferred and not listens(PREFERRED["mlflow"])
    return {
        "s3": {kind: free_port() for kind in (*KINDS, "proxy")},
        "postgres": free_port(),
        "mlflow": PREFERRED["mlflow"] if is_free else free_port(),
        "ray": ray,
    }


def _write_secret(path: Path, text: str) -> None:
    path.touch(0o600)
    os.chmod(path, 0o600)
    path.write_text(text)


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """A stack for the time of a context; its folder is removed."""
    stack = Stack(folder)
    try:
        stack.up()
        yield stack
    finally:
        stack.kill()
        shutil.rmtree(folder, ignore_errors=True)
