"""What a benchmark ran on, for its JSON, and how its tables are printed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from grokmodel.machine import cpu_name


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the text of a benchmark as its help, and a flag for its numbers."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="file for all numbers")
    return parser


def describe(device: str, packages: Sequence[str] = ("torch",)) -> dict[str, Any]:
    """Processor or GPU, driver, versions."""
    found = {
        "device": device,
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            said = subprocess.run(query, capture_output=True, text=True, check=True).stdout
            driver = said.split("\n")[0].strip()
        except (OSError, subprocess.CalledProcessError) as error:
            driver = f"unknown: {error}"
        found |= {
            "gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "driver": driver
        }  # fmt: skip
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, the first to the left."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def write_json(path: str | None, content: dict[str, Any]) -> None:
    if path:
        Path(path).write_text(json.dumps(content, indent=2) + "\n")
