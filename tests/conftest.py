"""What holds for all tests."""

import os
from pathlib import Path

import pytest

# before numpy is loaded: tiny matrices lose from threads, much so on a busy machine
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

TOGETHER = ("cluster", "faults")
"""Folders whose tests share servers, so that one process runs them."""

LONG = ("cluster", "faults", "sweeps")
"""Folders whose tests take longest: they begin first, so that no process waits for them."""


@pytest.hookimpl(wrapper=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    """A file's tests share fixtures: with several processes, one of them has the file."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).parts[0] not in LONG)
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        name = folder if folder in TOGETHER else str(item.path)
        item.add_marker(pytest.mark.xdist_group(name))
    return (yield)
