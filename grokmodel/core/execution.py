"""How a step of many small kernels is run on a GPU: as one CUDA graph.

A step launches some hundred kernels of a few microseconds each; launched one by one, the device
waits for the host most of the time. A captured step is launched as a whole. That is possible
because a step is a pure function of what lies on the device: weights, moments and step counters
are updated in place, noise is a function of the step counter, and nothing is read back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

EAGER, GRAPH, COMPILED = "eager", "graph", "compiled"
MODES = (EAGER, GRAPH, COMPILED)
"""Kernel by kernel; as one CUDA graph; the loss compiled by torch, and on a GPU one graph too."""
WARMUP_STEPS = 3
"""Steps run one kernel at a time before the capture: libraries allocate their workspaces in them.
They are steps like all others, so nothing needs to be undone."""


def default_mode(device: torch.device) -> str:
    """One CUDA graph on a GPU, kernel by kernel on a CPU."""
    return GRAPH if device.type == "cuda" else EAGER


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
