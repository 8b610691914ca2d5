"""What a sweep ran on: recorded once, on the parent run and in the store."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from grokmodel.core.config import SCIENCE_VERSION

PACKAGES = ("torch", "ray", "mlflow", "optuna", "numpy", "pyarrow", "pandas", "matplotlib")


def today() -> str:
    """YYYY-MM-DD, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def describe() -> dict[str, str]:
    """Tags: program, git commit, versions, devices."""
    import ray  # benchmarks on a bare GPU machine ask for the processor only

    tags = {f"version.{name}": importlib.metadata.version(name) for name in PACKAGES}
    return tags | {
        "version.grok-sweep": project_version(),
        "git.commit": git_commit(),
        "source.name": program(),
        "source.type": "JOB" if is_submitted() else "LOCAL",
        "python": platform.python_version(),
        "science_version": str(SCIENCE_VERSION),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_name(),
        "cpu": cpu_name(),
        "cluster": ", ".join(f"{k} {v:g}" for k, v in sorted(ray.cluster_resources().items())
                             if k in ("CPU", "GPU")),
    }  # fmt: skip


def project_version() -> str:
    """Of this package, if it is installed: a submitted job may run from its source."""
    try:
        return importlib.metadata.version("grok-sweep")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def git_commit() -> str:
    """Commit of the source, with `+changes` if the tree differs from it; GIT_COMMIT in an image."""
    if os.environ.get("GIT_COMMIT"):
        return os.environ["GIT_COMMIT"]
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "unknown"
    git = ("git", "-C", str(root))
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def program() -> str:
    """What runs: `grok`, or a script by its path in the source, such as `sweeps/grok_phase.py`."""
    path, root = Path(sys.argv[0]).resolve(), Path(__file__).resolve().parent.parent
    is_ours = path.suffix == ".py" and path.is_relative_to(root)
    return path.relative_to(root).as_posix() if is_ours else path.name


def is_submitted() -> bool:
    """Whether this is a job that was submitted to Ray."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def cpu_name() -> str:
    """The processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
