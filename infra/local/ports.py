"""Ports for servers, which nobody else takes between their choice and the server's start.

A port that the system chooses (`bind` to 0) lies among those that it also gives to every
connection and to every other server that asks so, and a server may start seconds later. Two that
meet do not always notice: Swift's and gRPC's share a port, and each gets some of the other's calls.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

FIRST, LAST = 20_000, 32_000
"""Above the ports of Ray's workers (10002 to 19999), below those of connections (32768)."""
BLOCK = 50


class Ports:
    """Ports from blocks that belong to this object, among all processes of the machine."""

    def __init__(self) -> None:
        self._guards: list[socket.socket] = []
        self._left: Iterator[int] = iter(())

    def take(self) -> int:
        """A port that is free and that no other call gives, here or in another process.

        Raises:
            OSError: none is left.
        """
        while True:
            for port in self._left:
                with contextlib.suppress(OSError):
                    _bound(port).close()
                    return port
            self._left = self._claim()

    def _claim(self) -> Iterator[int]:
        """The ports of a block whose first one is bound from now on, to tell others."""
        blocks = list(range(FIRST, LAST, BLOCK))
        for first in random.sample(blocks, len(blocks)):
            with contextlib.suppress(OSError):
                self._guards.append(_bound(first))
                return iter(range(first + 1, first + BLOCK))
        raise OSError(f"no block of ports is free between {FIRST} and {LAST}")


def _bound(port: int) -> socket.socket:
    """A socket on a port that nobody has, at any address."""
    probe = socket.socket()
    try:
        probe.bind(("", port))
    except OSError:
        probe.close()
        raise
    return probe


free_port = Ports().take


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False
