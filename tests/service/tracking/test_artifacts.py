"""A store may be copied and moved: its runs have their files, and the original is left alone."""

import shutil
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service import utils

from service.health import doctor, endpoints
from service.health.finding import OK, WARNING
from service.settings import load_settings
from service.store import keys
from service.store.store import Store
from service.tracking import artifacts
from service.tracking.client import Tracking, TrackingError
from tests.service.tiny import tiny_config


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def start(settings, sweep="mine"):
    """As a sweep does it, in a process of its own."""
    utils._artifact_repos_cache.clear()  # a process knows where the files of a run were before
    Store(settings).put(keys.sweep_key(sweep, "1"), b'{"experiment_id": "1", "trials": {}}')
    return Tracking.start(settings.tracking_uri, sweep, settings.artifacts, 0)


def content(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def original(tmp_path, new_database):
    """Settings of a store with two sweeps, each with a report, and one with a trial's figure."""
    (tmp_path / "original").mkdir()
    shutil.copy(new_database, tmp_path / "original")
    settings = load_settings(str(tmp_path / "original"))
    for sweep in ("mine", "other"):
        tracking = start(settings, sweep)
        tracking.log_files(
            tracking.client.get_run(tracking.parent_id).info, {"report.html": sweep.encode()}
        )
        tracking.client.set_terminated(tracking.parent_id)
    run = tracking.trial_run(tiny_config())
    tracking.log_files(run.info, {"figures/curve.png": b"png"})
    return settings


def copied(settings):
    shutil.copytree(settings.store, f"{settings.store} copy")
    return load_settings(f"{settings.store} copy")


def moved(settings):
    return load_settings(shutil.move(settings.store, f"{settings.store} moved"))


def shown(tracking):
    """Files of all runs of a sweep, as MLflow finds them."""
    found = {}
    for run in tracking.client.search_runs([tracking.experiment_id]):
        for item in tracking.client.list_artifacts(run.info.run_id):
            inner = tracking.client.list_artifacts(run.info.run_id, item.path)
            for file in inner or [item]:
                local = tracking.client.download_artifacts(run.info.run_id, file.path)
                found[file.path] = Path(local).read_bytes()
    return found


def test_a_sweep_in_a_copy_leaves_the_original_as_it_is(original):
    before = content(original.store)
    settings = copied(original)
    tracking = start(settings)
    tracking.log_files(tracking.client.get_run(tracking.parent_id).info, {"report.html": b"newer"})
    tracking.log_files(tracking.trial_run(tiny_config()).info, {"figures/new.png": b"new"})
    assert content(original.store) == before
    assert shown(tracking) == {"report.html": b"newer", "figures/new.png": b"new"}
    assert shown(start(original)) == {"report.html": b"mine"}


def test_a_moved_store_shows_its_files_and_does_not_come_back(original):
    settings = moved(original)
    tracking = start(settings, "other")
    assert shown(tracking) == {"report.html": b"other", "figures/curve.png": b"png"}
    tracking.log_files(tracking.client.get_run(tracking.parent_id).info, {"more.html": b"more"})
    assert not Path(original.store).exists()
    assert len(list(Path(settings.store).rglob("more.html"))) == 1


def test_all_sweeps_are_corrected_at_once(original):
    settings = moved(original)
    artifacts.correct(settings.tracking_uri, settings.artifacts, ["mine", "other"])
    for sweep in ("mine", "other"):
        assert shown(start(settings, sweep))["report.html"] == sweep.encode()


def test_sweeps_of_another_store_in_the_same_database_stay_where_they_are(
    original, monkeypatch, tmp_path
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", original.tracking_uri)
    guest = load_settings(str(tmp_path / "guest"))
    tracking = start(guest, "theirs")
    tracking.log_files(tracking.client.get_run(tracking.parent_id).info, {"report.html": b"theirs"})
    assert list(Path(guest.store).rglob("report.html"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert shown(start(moved(original)))["report.html"] == b"mine"
    assert shown(tracking) == {"report.html": b"theirs"}


def test_with_a_database_elsewhere_the_files_of_another_store_are_not_overwritten(
    monkeypatch, tmp_path
):
    """It may serve both: which of them the experiment belongs to is for its owner to say."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    first, second = (load_settings(str(tmp_path / name)) for name in ("first", "second"))
    start(first)
    with pytest.raises(
        TrackingError, match=r"'mine'.*first/mlartifacts.*--name.*rename"
    ) as refused:
        start(second)
    assert "second" in str(refused.value)
    assert [f.level for f in endpoints.tracking(first)] == [OK]
    said = list(endpoints.tracking(second))
    assert [f.level for f in said] == [OK, WARNING]
    assert "first/mlartifacts" in str(said[1])
    tracking = Tracking(first.tracking_uri)
    number = tracking.client.get_experiment_by_name("mine").experiment_id
    tracking.client.rename_experiment(number, "theirs")  # as the message advises
    start(second)


def test_the_doctor_says_that_a_store_has_moved(original, capsys, monkeypatch):
    assert [f.level for f in endpoints.tracking(original)] == [OK]
    settings = moved(original)
    said = list(endpoints.tracking(settings))
    assert [f.level for f in said] == [OK, WARNING]
    assert f"mine, other: their files are looked for in {original.artifacts}" in str(said[1])
    assert "grok ui" in str(said[1])
    assert [f.level for f in endpoints.tracking(settings)] == [OK, WARNING]  # it only looks
    monkeypatch.setattr(doctor, "CHECKS", [c for c in doctor.CHECKS if c.name == "tracking"])
    assert doctor.run(settings.store) == 0
    assert "all is well, but for the warnings" in capsys.readouterr().out
    for sweep in ("mine", "other"):
        start(settings, sweep)
    assert [f.level for f in endpoints.tracking(settings)] == [OK]
