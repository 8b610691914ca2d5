"""A real store and a real tracking database in a temporary folder; a plane to be searched."""

import pytest

from service.settings import Settings
from service.store.store import Store
from service.tracking.client import Tracking
from tests.service.planes import small_plane


@pytest.fixture
def settings(tmp_path):
    return Settings(
        store=str(tmp_path / "store"),
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        data_root=str(tmp_path / "data"),
        checkpoint_s=0.0,  # resume points as often as can be
    )


@pytest.fixture
def store(settings):
    return Store(settings)


@pytest.fixture
def tracking(settings):
    """The experiment and parent run of a sweep."""
    return Tracking.start(settings.tracking_uri, "sweep", settings.artifacts)


@pytest.fixture
def plane():
    return small_plane()
