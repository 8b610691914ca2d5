"""requirements.lock: what the image installs, each package with the hashes of its wheels.

    python infra/lock.py      # needs `uv`, which reads metadata and fetches no wheel; 10 seconds

For Linux on x86-64, CPython 3.11 and the CUDA build of torch. Versions come from constraints.txt;
only what that build of torch adds (CUDA's own packages, triton) is chosen here. Settings of pip and
uv on this machine are left out, so that the same index is asked everywhere. Hashes of source
archives are left out too: what has no wheel is not installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
EXTRAS = ("bdm", "server")
HEADER = f"""\
# Made by `python infra/lock.py`; do not edit. For Linux x86-64 and CPython 3.11, with CUDA.
# The project with its extras {", ".join(EXTRAS)}, wheels only: see infra/README.md.
"""


def main() -> int:
    LOCK.write_text(lock_text(resolve()))
    return 0


def resolve() -> dict[str, Any]:
    """What uv chooses, as a pylock (PEP 751)."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pylock.toml"
        command = [
            *("uv", "pip", "compile", "--quiet", "--no-config", "--no-annotate"),
            *("--only-binary=:all:", "--python-platform=x86_64-manylinux_2_28"),
            *("--python-version=3.11", "--format=pylock.toml", f"--output-file={out}"),
            *(f"--constraints={ROOT / 'constraints.txt'}", *(f"--extra={name}" for name in EXTRAS)),
            str(ROOT / "pyproject.toml"),
        ]
        env = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        subprocess.run(command, check=True, env=env)
        return tomllib.loads(out.read_text())


def lock_text(pylock: Mapping[str, Any]) -> str:
    """The lock file: a requirement a package, then a line a wheel that fits."""
    lines = []
    for package in sorted(pylock["packages"], key=lambda p: p["name"]):
        hashes = sorted(wheel["hashes"]["sha256"] for wheel in package["wheels"])
        words = [
            f"{package['name']}=={package['version']}",
            *(f"--hash=sha256:{h}" for h in hashes),
        ]
        lines.append(" \\\n    ".join(words))
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
