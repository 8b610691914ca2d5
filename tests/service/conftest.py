"""A real store and a real tracking database in a temporary folder; a plane to be searched."""

import shutil

import pytest
from mlflow import MlflowClient

from service.settings import Settings
from service.store.manifest import write_manifest
from service.store.store import Store
from service.tracking.client import Tracking
from service.worker.pack_run import PackJob
from tests.service.packs import run_pack
from tests.service.planes import small_plane
from tests.service.tiny import tiny_config


@pytest.fixture(scope="session")
def new_database(tmp_path_factory):
    """Of MLflow, before its first run. To copy one takes no time, to make one two seconds."""
    database = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def settings(tmp_path, new_database):
    shutil.copy(new_database, tmp_path)
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


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory):
    """A store with sweep `tiny` of three trials that were trained for real; to be looked at, not
    changed."""
    folder = tmp_path_factory.mktemp("trained")
    settings = Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", "")
    configs = [tiny_config(seed=0), tiny_config(seed=1), tiny_config(seed=2, weight_decay=3)]
    store = Store(settings)
    write_manifest(store, "tiny", configs, "1")
    run_pack(PackJob("tiny", settings, tuple(configs), cpus=1.0))
    return store
