"""What a sweep ran on: recorded once, on the parent run and in the store."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import torch

from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.machine import cpu_name, device_name, source_commit

PACKAGES = ("torch", "ray", "mlflow", "optuna", "numpy", "pyarrow", "pandas", "matplotlib")


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
        "device": device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
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
    return os.environ.get("GIT_COMMIT") or source_commit()


def program() -> str:
    """What runs: `grok`, or a script by its path in the source, such as `sweeps/grok_phase.py`."""
    path, root = Path(sys.argv[0]).resolve(), Path(__file__).resolve().parent.parent
    is_ours = path.suffix == ".py" and path.is_relative_to(root)
    return path.relative_to(root).as_posix() if is_ours else path.name


def is_submitted() -> bool:
    """Whether this is a job that was submitted to Ray."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
