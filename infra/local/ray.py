"""A Ray cluster of several nodes on one machine, which takes only those who have its token."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local.ports import free_port, listens
from infra.local.process import Server, ServerError, Servers

OBJECTS_BYTES = 128 * 2**20
"""Memory for objects, a node: a sweep hands over configs, not data."""
STARTED = "Ray runtime started."
"""What a node says once it is part of the cluster; its ports answer before."""
ATTEMPTS = 8
"""To start a node, of half a minute each."""


class Ray(Servers):
    """A head without CPUs for work, and nodes with some.

    Args:
        folder: where the token, the logs of the daemons and their pids lie.
        temp: Ray's own folder; a short path, because sockets lie below it.
        env: what programs on the nodes need, such as credentials of the store.
    """

    def __init__(
        self,
        folder: Path,
        temp: Path,
        token: str,
        nodes: int = 2,
        cpus: int = 1,
        env: Mapping[str, str] | None = None,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        self.folder, self.temp, self.token = folder, temp, token
        # a node starts no worker by a path with spaces
        self.environment = temp / "environment"
        by_link = str(self.environment / "bin" / Path(sys.executable).name)
        self.python = by_link if " " in sys.executable else sys.executable
        self.ports = dict(ports or ports_of(nodes))
        self.address = f"{host(0)}:{self.ports['head']}"
        self.dashboard = f"http://127.0.0.1:{self.ports['dashboard']}"
        self.token_file = folder / "token"
        self.node_env = {**(env or {}), **self.auth()}
        self.cpus = cpus
        self.head = self._server("ray-head", [
            "--head", "--port", str(self.ports["head"]), "--num-cpus", "0",
            "--dashboard-host", "127.0.0.1", "--dashboard-port", str(self.ports["dashboard"]),
        ], 0, self.ports["dashboard"])  # fmt: skip
        self.nodes = [self._node(i) for i in range(nodes)]
        self.servers = [self.head, *self.nodes]

    def _node(self, index: int) -> Server:
        """A node; one that was killed can be started again, as a new one."""
        name = f"ray-node{index}"
        flags = ["--address", self.address, "--num-cpus", str(self.cpus)]
        return self._server(name, flags, index + 1, self.ports[name])

    def start(self) -> None:
        """Back when all nodes are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.token_file.touch(0o600)
        self.token_file.write_text(self.token)
        if self.python != sys.executable:
            self.temp.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.environment.unlink(missing_ok=True)
            self.environment.symlink_to(sys.prefix)
        bring_up([self.head])
        bring_up(self.nodes)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.temp, ignore_errors=True)

    def kill(self) -> None:
        super().kill()
        shutil.rmtree(self.temp, ignore_errors=True)

    def auth(self) -> dict[str, str]:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_file)}

    def env(self) -> dict[str, str]:
        """What a driver needs; `RAY_API_SERVER_ADDRESS` is for `ray job submit`."""
        addresses = {"RAY_ADDRESS": self.address, "RAY_API_SERVER_ADDRESS": self.dashboard}
        return addresses | self.auth()

    def _server(self, name: str, flags: list[str], number: int, listening: int) -> Server:
        agent = self.ports[name]
        command = [
            self.python, "-m", "ray.scripts.scripts", "start", "--block",
            "--node-ip-address", host(number), "--object-store-memory", str(OBJECTS_BYTES),
            "--dashboard-agent-listen-port", str(agent), "--disable-usage-stats",
            # as on machines of its own: what a job uploads is unpacked for every node
            "--temp-dir", str(self.temp / str(number)), *flags,
        ]  # fmt: skip
        env = {
            **self.node_env,
            # jobs import the modules of the checkout
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        where = "127.0.0.1" if number == 0 else host(number)

        def answers() -> bool:
            return server.has_said(STARTED) and listens(listening, where)

        server = Server(name, self.folder, command, answers, env)
        return server


def bring_up(servers: Sequence[Server]) -> None:
    """Back when all are there. Ray gives a node 30 s to start, which a busy machine does not always
    have: one that gave up is started again.

    Raises:
        ServerError: as `Server.wait`, if it happens again and again.
    """
    for server in servers:
        server.start()
    for server in servers:
        for left in reversed(range(ATTEMPTS)):
            try:
                server.wait()
                break
            except ServerError:
                if not left or server.process() is not None:
                    raise
                server.start()


def host(number: int) -> str:
    """A loopback address for each node. Not 127.0.0.1, for which Ray takes the machine's own."""
    return f"127.0.0.{2 + number}"


def ports_of(nodes: int) -> dict[str, int]:
    names = ["head", "dashboard", "ray-head", *(f"ray-node{i}" for i in range(nodes))]
    return {name: free_port() for name in names}
