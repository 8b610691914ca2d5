"""The machine and the source that something is computed with: facts that results carry with them,
and how the process takes its memory."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""


def today() -> str:
    """YYYY-MM-DD, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def source_commit() -> str:
    """Commit of the source, with `+changes` if the tree differs from it; `unknown` without git."""
    if not (ROOT / ".git").exists():
        return "unknown"
    git = ("git", "-C", str(ROOT))
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def keep_freed_memory() -> None:
    """This process keeps what it frees: a training step allocates the same sizes again and again,
    and glibc would ask the system for the large ones each time. Elsewhere nothing happens."""
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        # older ones take no more than 32 MiB; the second alone would do harm, as sizes that have
        # once been freed would count as large again
        if mallopt(M_MMAP_THRESHOLD, 2**30) or mallopt(M_MMAP_THRESHOLD, 2**25):
            mallopt(M_TRIM_THRESHOLD, 2**30)


def return_freed_memory() -> None:
    """This process gives back what it has freed, for one that waits: glibc keeps what is free among
    what is not. Elsewhere nothing happens."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def device_name(device: torch.device) -> str:
    """The GPU, or the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def cpu_name() -> str:
    """The processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@functools.cache
def source_hash() -> str:
    """16 hexadecimal digits: a hash of the source of `grokmodel`, on which results depend."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "grokmodel").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
