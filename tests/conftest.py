"""What holds for all tests."""

import os
from pathlib import Path

# before numpy is loaded: tiny matrices lose from threads, much so on a busy machine
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

LONGEST = ("faults/test_faults.py", "sweeps/test_grok_phase.py", "sweeps/test_reproduce.py")
LONG = ("cluster", "sweeps")
"""Files and folders whose tests take longest: they begin first, so that no process waits for them
at the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: rank(item.path.relative_to(Path(__file__).parent)))


def rank(path):
    """The lower, the sooner."""
    if path.as_posix() in LONGEST:
        return LONGEST.index(path.as_posix())
    return len(LONGEST) + (path.parts[0] not in LONG)
