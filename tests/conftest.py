"""What holds for all tests."""

import fcntl
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.environment import GROK_PHASE, PRIORITY, python

# before numpy is loaded: tiny matrices lose from threads, much so on a busy machine
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ |= PRIORITY

# how many examples: HYPOTHESIS_PROFILE=long tries fifty times as many, other ones every time
UNHURRIED = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("short", max_examples=100, derandomize=True, **UNHURRIED)
settings.register_profile("long", max_examples=5000, print_blob=True, **UNHURRIED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

LONGEST = ("faults", "cluster", "sweeps/test_grok_phase.py", "sweeps")
"""Folders and files whose tests take longest, the longest first: they begin first, so that no
process waits for them at the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=rank)


def rank(item):
    """The lower, the sooner. What needs the smoke sweep comes last: one test makes it at the start,
    and the other processes have something else to do meanwhile."""
    path = item.path.relative_to(Path(__file__).parent)
    by_length = (i for i, first in enumerate(LONGEST) if path.is_relative_to(first))
    return next(by_length, len(LONGEST) + ("smoke_store" in item.fixturenames))


class ByServers(LoadFileScheduling):
    """The tests of a file go to one process, and so do all that share the servers of a cluster."""

    def _split_scope(self, nodeid):
        return (
            "tests/cluster" if nodeid.startswith("tests/cluster/") else super()._split_scope(nodeid)
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return ByServers(config, log)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As a worker of one core has it. Tiny tensors gain nothing from threads, and beside other
    busy processes threads wait for each other, and a measured time means nothing."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def smoke_store(tmp_path_factory, worker_id):
    """What `python sweeps/grok_phase.py --preset smoke` leaves, and in `said` what it printed: run
    once for all processes of the tests, so to be looked at or copied, not changed."""
    base = tmp_path_factory.getbasetemp()
    place = base if worker_id == "master" else base.parent
    store, said = place / "smoke" / "store", place / "smoke" / "said"
    with (place / "smoke.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            store.mkdir(parents=True, exist_ok=True)
            done = python(GROK_PHASE, "--preset", "smoke", GROK_STORE=store)
            assert done.returncode == 0, done.stdout + done.stderr
            said.write_text(done.stdout)
    return store
