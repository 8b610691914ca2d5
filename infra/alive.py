"""Is Ray well on this machine? For the probes of its pods, in place of wget.

python infra/alive.py          # a worker: its raylet
python infra/alive.py --head   # the head: its raylet, and the service that all nodes need
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence

AGENT, HEAD = "http://127.0.0.1:52365", "http://127.0.0.1:8265"
TIMEOUT_S = 2


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    pages = [f"{AGENT}/api/local_raylet_healthz"]
    if "--head" in words:
        pages.append(f"{HEAD}/api/gcs_healthz")
    for page in pages:
        try:
            with urllib.request.urlopen(page, timeout=TIMEOUT_S) as answer:
                well = b"success" in answer.read()
        except OSError as error:
            print(f"{page}: {error}", file=sys.stderr)
            return 1
        if not well:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
