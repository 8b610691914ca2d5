"""`grok`: the commands of the service, and those that know what to sweep."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from service import cli
from sweeps import reproduce


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(argv, reproduce.add_command)


if __name__ == "__main__":
    sys.exit(main())
