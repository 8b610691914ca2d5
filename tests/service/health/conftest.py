"""An environment without a cluster, and one Ray for all who do not look at its start."""

import pytest

from service.health import endpoints


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def answer_of_ray():
    return endpoints._probe()


@pytest.fixture
def one_ray(monkeypatch, answer_of_ray):
    monkeypatch.setattr(endpoints, "_probe", lambda: answer_of_ray)
