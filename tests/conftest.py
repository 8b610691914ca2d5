"""What holds for all tests."""

import os
from pathlib import Path

# before numpy is loaded: tiny matrices lose from threads, much so on a busy machine
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

LONG = ("cluster", "faults", "sweeps")
"""Folders whose tests take longest: they begin first, so that no process waits for them."""


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).parts[0] not in LONG)
