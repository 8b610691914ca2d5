"""Whether a server takes connections, asked before a library that would try for minutes."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Ports of databases whose URI names none."""
CONNECT_S = 5.0


def check_reachable(address: str) -> None:
    """Connect to a database or to the head of a Ray cluster, and leave.

    Nothing is asked of the web, as there may be a proxy between, of a file, nor where there is no
    port, as in `auto`.

    Args:
        address: HOST:PORT or a URI.

    Raises:
        OSError: it takes no connections, or its port is no port.
    """
    scheme, _, rest = address.partition("://") if "://" in address else ("", "", address)
    if scheme in ("http", "https") or scheme.startswith("sqlite"):
        return
    try:
        # from the last @: a password may have @ and / in it
        parts = urlsplit(f"//{rest.partition('?')[0].rpartition('@')[2]}")
        port = parts.port or PORTS.get(scheme.partition("+")[0])
    except ValueError as error:
        raise OSError(str(error)) from error
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), CONNECT_S).close()
