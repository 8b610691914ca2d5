"""S3 by OpenStack Swift: a store that checks keys and signatures and keeps what it acknowledged."""

from __future__ import annotations

import configparser
import os
import pwd
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from infra.local.process import Server, Servers

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
PATIENCE = {
    "object": {"conn_timeout": "10", "node_timeout": "60", "container_update_timeout": "60"}
}
"""Seconds that a server waits for another. By itself an object server waits a second for the
bucket's listing and then answers that all is well: a listing may be out of date, as those of S3
never are."""
KINDS = ("account", "container", "object")
PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk s3api tempauth "
    "copy slo dlo versioned_writes symlink proxy-server"
)


@dataclass(frozen=True)
class Key:
    """An access key and its secret."""

    user: str
    """Of the form account:name."""
    secret: str
    is_admin: bool = True
    """Whether it may make buckets and reach those of its account without being let in."""

    def env(self, endpoint: str) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.user,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_REGION": REGION,
        }


class S3(Servers):
    """Four Swift servers over a folder (on a file system with extended attributes)."""

    def __init__(self, folder: Path, keys: list[Key], ports: Mapping[str, int]):
        self.folder, self.keys, self.ports = folder, keys, ports
        self.endpoint = f"http://127.0.0.1:{self.ports['proxy']}"
        self.servers = [self._server(kind) for kind in (*KINDS, "proxy")]

    def start(self) -> None:
        if not (self.folder / "proxy.conf").exists():
            self._configure()
        for server in self.servers:
            server.start()

    def client(self) -> Any:
        """As the first key's owner."""
        key = self.keys[0]
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=key.user,
            aws_secret_access_key=key.secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def create(self, bucket: str) -> None:
        """Make a bucket, if it is not there."""
        client = self.client()
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=bucket)
            # the parts of large objects lie in a container of their own, which this makes
            upload = client.create_multipart_upload(Bucket=bucket, Key="none")["UploadId"]
            client.abort_multipart_upload(Bucket=bucket, Key="none", UploadId=upload)

    def let_in(self, key: Key, bucket: str, write: bool = True) -> None:
        """Let a key that is no admin's read a bucket, and write it, and nothing else."""
        account, admin = f"{self.endpoint}/v1/AUTH_{key.user.split(':')[0]}", self.keys[0]
        sign = {"X-Auth-User": admin.user, "X-Auth-Key": admin.secret}
        with _ask(f"{self.endpoint}/auth/v1.0", sign) as answer:
            headers = {"X-Auth-Token": answer.headers["X-Auth-Token"], "X-Container-Read": key.user}
        headers["X-Container-Write"] = key.user if write else ""
        for container in (bucket, f"{bucket}+segments"):
            _ask(f"{account}/{urllib.parse.quote(container)}", headers, "POST").close()

    @contextmanager
    def full(self) -> Iterator[None]:
        """The disk counts as full: what is written is refused, what is there can be read."""
        self._reserve("100%")
        try:
            yield
        finally:
            self._reserve("0")

    def requests(self) -> list[tuple[str, str]]:
        """Method and path, with its query, of every request that the proxy has logged."""
        lines = self.servers[-1].log.read_text(errors="replace").splitlines()
        words = (line.split("GROK-S3 ", 1)[1].split() for line in lines if "GROK-S3 " in line)
        return [(word[0], word[1]) for word in words if len(word) > 1]

    def _reserve(self, space: str) -> None:
        """Space that must stay free on the disk."""
        server = next(s for s in self.servers if s.name == "s3-object")
        server.kill()
        values = self._storage("object")
        values["DEFAULT"]["fallocate_reserve"] = space
        self._write("object", values)
        server.start()
        server.wait()

    def _server(self, kind: str) -> Server:
        program = Path(sys.executable).parent / f"swift-{kind}-server"
        port = self.ports[kind]
        return Server(
            f"s3-{kind}",
            self.folder,
            [sys.executable, str(program), str(self.folder / f"{kind}.conf"), "--verbose"],
            lambda: _is_ok(f"http://127.0.0.1:{port}/healthcheck"),
            env={"PYTHONPATH": str(ROOT)},  # for swift_cache
        )

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o700)  # the keys stand in a file here
        (self.folder / "devices" / "sdb1").mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "infra.local.swift_rings", str(self.folder)]
        command += [f"{kind}={self.ports[kind]}" for kind in KINDS]
        subprocess.run(command, cwd=ROOT, check=True)
        affixes = {"swift_hash_path_prefix": "grok", "swift_hash_path_suffix": "sweep"}
        policy = {"name": "one", "default": "yes"}
        self._write("swift", {"swift-hash": affixes, "storage-policy:0": policy})
        for kind in KINDS:
            self._write(kind, self._storage(kind))
        self._write("proxy", self._proxy())

    def _common(self, kind: str) -> dict[str, str]:
        return {
            "bind_ip": "127.0.0.1",
            "bind_port": str(self.ports[kind]),
            "workers": "0",
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "swift_dir": str(self.folder),
            "devices": str(self.folder / "devices"),
            "mount_check": "false",
            "log_level": "INFO",
        }

    def _storage(self, kind: str) -> dict[str, dict[str, str]]:
        return {
            "DEFAULT": self._common(kind) | {"log_level": "ERROR"},
            "pipeline:main": {"pipeline": f"healthcheck {kind}-server"},
            f"app:{kind}-server": {"use": f"egg:swift#{kind}"} | PATIENCE.get(kind, {}),
            "filter:healthcheck": {"use": "egg:swift#healthcheck"},
        }

    def _proxy(self) -> dict[str, dict[str, str]]:
        users = {
            f"user_{key.user.replace(':', '_')}": f"{key.secret}{' .admin' * key.is_admin}"
            for key in self.keys
        }
        options: dict[str, dict[str, str]] = {
            "s3api": {"location": REGION, "s3_acl": "false", "dns_compliant_bucket_names": "true"},
            "cache": {"paste.filter_factory": "infra.local.swift_cache:filter_factory"},
            "tempauth": users,
            "slo": {"allow_async_delete": "false"},
            "versioned_writes": {"allow_versioned_writes": "true"},
            "proxy-logging": {
                "access_log_level": "INFO",
                "access_log_name": "access",
                "log_msg_template": "GROK-S3 {method} {path} {status_int}",
            },
        }
        sections = {
            "DEFAULT": self._common("proxy"),
            "pipeline:main": {"pipeline": PIPELINE},
            "app:proxy-server": {
                "use": "egg:swift#proxy",
                "account_autocreate": "true",
                # seconds for which a disk that was full once is not asked again
                "error_suppression_interval": "1",
                # half a second is what a busy machine may take to accept a connection to itself
                "conn_timeout": "10",
            },
        }
        for name in PIPELINE.split()[:-1]:
            plugin = {} if name == "cache" else {"use": f"egg:swift#{name.replace('-', '_')}"}
            sections[f"filter:{name}"] = plugin | options.get(name, {})
        return sections

    def _write(self, name: str, sections: Mapping[str, Mapping[str, str]]) -> None:
        config = configparser.RawConfigParser()
        config.optionxform = str  # type: ignore[assignment,method-assign]
        for section, values in sections.items():
            if section != "DEFAULT":
                config.add_section(section)
            for option, value in values.items():
                config.set(section, option, value)
        path = self.folder / f"{name}.conf"
        with path.open("w") as stream:
            os.chmod(path, 0o600)
            config.write(stream)


def _is_ok(address: str) -> bool:
    with urllib.request.urlopen(address, timeout=2) as answer:
        return bool(answer.read().startswith(b"OK"))


def _ask(address: str, headers: Mapping[str, str], method: str = "GET") -> Any:
    request = urllib.request.Request(address, headers=dict(headers), method=method)
    return urllib.request.urlopen(request, timeout=60)
