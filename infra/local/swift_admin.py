"""What only Swift's own modules can do: `python -m infra.local.swift_admin FOLDER VERB ...`."""

from __future__ import annotations

import sys
from pathlib import Path

from swift.common.direct_client import direct_post_container
from swift.common.ring import Ring, RingBuilder
from swift.common.utils import Timestamp, set_swift_dir


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


def let_in(folder: Path, user: str, bucket: str, right: str) -> None:
    """Let a user read, or write too, a bucket; the gateway's own way needs a memcached."""
    set_swift_dir(str(folder))
    account = f"AUTH_{user.split(':')[0]}"
    ring = Ring(str(folder), ring_name="container")
    rights = {"X-Container-Read": user, "X-Container-Write": user if right == "write" else ""}
    for container in (bucket, f"{bucket}+segments"):
        part, nodes = ring.get_nodes(account, container)
        headers = rights | {"X-Timestamp": Timestamp.now().internal}
        direct_post_container(nodes[0], part, account, container, headers=headers)


if __name__ == "__main__":
    run = rings if sys.argv[2] == "rings" else let_in
    run(Path(sys.argv[1]), *sys.argv[3:])
