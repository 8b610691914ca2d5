"""Real servers with authentication on, started once for all tests here, and stopped after them."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from infra.local.stack import running
from service.settings import Settings
from service.store.store import Store


@pytest.fixture(scope="package")
def place():
    """A folder that PostgreSQL, which is never root, can enter."""
    folder = Path(tempfile.mkdtemp(prefix="grok-", dir="/tmp"))
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def stack(place):
    with running(place / "stack") as stack:
        yield stack


@pytest.fixture
def env(stack, monkeypatch):
    """This process works with the stack."""
    for name, value in stack.env().items():
        monkeypatch.setenv(name, value)
    return stack.env()


@pytest.fixture
def make_store(stack, env, request):
    """Stores of this test alone."""

    def make(patience_s=5.0, **settings):
        url = f"s3://sweeps/{request.node.name[:60].strip('[]').replace('[', '-')}"
        known = {"store": url, "tracking_uri": "", "s3_endpoint": stack.s3.endpoint}
        return Store(Settings(**{"data_root": "", **known, **settings}), patience_s)

    return make
