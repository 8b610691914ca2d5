"""Random passwords for the cluster, or for compose: what is printed is to be kept secret.

    python infra/secrets_file.py > infra/k8s/secrets.yaml
    python infra/secrets_file.py --compose > infra/.env

The S3 key of the cluster is taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; that of
compose is made, as compose has an S3 of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = {"username": "grok"}
S3 = {"access-key": "AWS_ACCESS_KEY_ID", "secret-key": "AWS_SECRET_ACCESS_KEY"}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compose", action="store_true", help="for compose.yaml")
    if parser.parse_args(argv).compose:
        print(compose_text(), end="")
        return 0
    missing = [name for name in S3.values() if not os.environ.get(name)]
    if missing:
        print(f"secrets_file: not set: {', '.join(missing)}", file=sys.stderr)
        return 2
    print(cluster_text(os.environ), end="")
    return 0


def cluster_text(env: Mapping[str, str]) -> str:
    """secrets.example.yaml with values."""

    def filled(line: re.Match[str]) -> str:
        key = line[2]
        value = env[S3[key]] if key in S3 else NAMES.get(key) or secrets.token_hex(32)
        return f'{line[1]}{key}: "{value}"'

    text = (HERE / "k8s" / "secrets.example.yaml").read_text()
    bare = re.sub(r"(?m)^#.*\n|\s+#.*$", "", text)
    return re.sub(r"(?m)^( +)([\w-]+): REPLACE-ME$", filled, bare)


def compose_text() -> str:
    """env.example with values."""
    text = (HERE / "env.example").read_text()
    names = re.findall(r"(?m)^(\w+)=$", text)
    return "".join(f"{name}={secrets.token_hex(32)}\n" for name in names)


if __name__ == "__main__":
    sys.exit(main())
