"""MLflow's server over a database, with a name and a password for whoever calls it."""

from __future__ import annotations

import configparser
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from infra.local.process import Server, Servers

ADMIN = "grok"


class Mlflow(Servers):
    """`mlflow server` with basic authentication.

    Args:
        database: URI of its runs.
        users: URI of its users' database.
        secrets: `password` of the user ADMIN, and the `session` key of its pages.
        env: for artifacts in S3, so that its pages can show them.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        users: str,
        secrets: Mapping[str, str],
        env: Mapping[str, str],
        port: int,
    ) -> None:
        self.folder, self.users, self.secrets = folder, users, secrets
        self.uri = f"http://127.0.0.1:{port}"
        self.config = folder / "basic_auth.ini"
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        # clients write files straight to the store; the server reads them for its pages
        command += ["--artifacts-destination", str(folder / "artifacts")]
        own = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # for language models; 2 GB of processes
            "MLFLOW_BACKEND_STORE_URI": database,  # not as an argument, which all may read
            "MLFLOW_AUTH_CONFIG_PATH": str(self.config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets["session"],
        }
        self.servers = [Server("mlflow", folder, command, self._answers, {**env, **own})]

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = configparser.RawConfigParser()
        config["mlflow"] = {
            "default_permission": "READ",
            "database_uri": self.users.replace("%", "%%"),  # MLflow's parser interpolates
            "admin_username": ADMIN,
            "admin_password": self.secrets["password"].replace("%", "%%"),
            "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
            # a password is hashed slowly on purpose; once a minute is enough
            "auth_cache_ttl_seconds": "60",
        }
        with self.config.open("w") as stream:
            os.chmod(self.config, 0o600)
            config.write(stream)
        self.servers[0].start()

    def env(self) -> dict[str, str]:
        """What a client needs."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": ADMIN,
            "MLFLOW_TRACKING_PASSWORD": self.secrets["password"],
        }

    def _answers(self) -> bool:
        with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
