"""How a step of many small kernels is run: as one CUDA graph on a GPU, compiled on a CPU.

A step launches some hundred kernels of a few microseconds each; launched one by one, a GPU waits
for the host most of the time. A captured step is launched as a whole. That is possible because a
step is a pure function of what lies on the device: weights, moments and step counters are updated
in place, noise is a function of the step counter, and nothing is read back. A CPU waits for memory
instead: compiled, kernels that go through the same numbers are one.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

AUTO = "auto"
EAGER, GRAPH, COMPILED = "eager", "graph", "compiled"
MODES = (EAGER, GRAPH, COMPILED)
"""Kernel by kernel; as one CUDA graph; the loss compiled by torch, and on a GPU one graph too."""
GAVE_UP = threading.Event()
"""Set when this process has failed to compile a step: it would fail again."""
WARMUP_STEPS = 3
"""Steps run one kernel at a time before the capture: libraries allocate their workspaces in them.
They are steps like all others, so nothing needs to be undone."""


def default_mode(device: torch.device, configs: Sequence[Any] = ()) -> str:
    """One CUDA graph on a GPU; on a CPU compiled if that pays and can be done, else eager.

    The longest trial of a pack decides, by all of its steps and not by what is left of them: unless
    that trial is done, a resumed pack goes on as it began.

    Args:
        configs: of the trials of the pack.
    """
    if device.type == "cuda":
        return GRAPH
    pays = any(config.cost * config.steps >= config.worth_compiling for config in configs)
    return COMPILED if pays and has_compiler() else EAGER


def has_compiler() -> bool:
    """Whether this machine has what torch compiles with on a CPU: C++ and the headers of Python."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    header = Path(sysconfig.get_path("include"), "Python.h")
    return shutil.which(compiler) is not None and header.exists()


def allow_tf32() -> None:
    """Float32 products on CUDA by TF32, as training wants them: it is a setting of the process."""
    torch.backends.cuda.matmul.allow_tf32 = True


class CapturedStep:
    """Calls a function of no arguments, always the same; from call WARMUP_STEPS + 1 on as one CUDA
    graph."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.calls = 0

    def __call__(self, function: Callable[[], None]) -> None:
        self.calls += 1
        if self.calls <= WARMUP_STEPS:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                function()
            torch.cuda.current_stream().wait_stream(self.stream)
            return
        if self.graph is None:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):  # records, does not run
                function()
            self.graph = graph
        self.graph.replay()
