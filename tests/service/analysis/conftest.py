import shutil

import pytest

from service.settings import Settings
from tests.service.analysis.sweeps import Sweep


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A sweep of two trained trials, made once."""
    folder = tmp_path_factory.mktemp("template")
    return Sweep(Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", ""))


@pytest.fixture
def trained(template, settings):
    """The same in the store of a test."""
    shutil.copytree(template.settings.store, settings.store)
    return Sweep(settings)
