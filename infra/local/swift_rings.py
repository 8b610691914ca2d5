"""Where Swift's servers find each other: `python -m infra.local.swift_rings FOLDER KIND=PORT ...`.

In a process of its own, as Swift's modules change the sockets of whoever imports them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from swift.common.ring import RingBuilder


def rings(folder: Path, *places: str) -> None:
    """A ring with one device for each of `account=PORT`, `container=PORT`, `object=PORT`."""
    for place in places:
        kind, port = place.split("=")
        builder = RingBuilder(4, 1, 1)
        builder.add_dev({
            "region": 1, "zone": 1, "weight": 1.0, "device": "sdb1",
            "ip": "127.0.0.1", "port": int(port),
            "replication_ip": "127.0.0.1", "replication_port": int(port), "meta": "",
        })  # fmt: skip
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


if __name__ == "__main__":
    rings(Path(sys.argv[1]), *sys.argv[2:])
