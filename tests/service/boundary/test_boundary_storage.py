"""Where a study is kept, and errors that name the place but not its password."""

import pickle

import pytest

from service.boundary.study import BoundaryStudy, storage_url
from service.settings import Settings, SettingsError, load_settings


def test_the_study_lies_in_a_folder_store_and_must_be_named_for_s3(settings, monkeypatch):
    assert storage_url(settings) == f"sqlite:///{settings.store}/optuna.db"
    remote = Settings(store="s3://bucket/x", tracking_uri="http://mlflow", data_root="data")
    with pytest.raises(SettingsError, match=r"s3://bucket/x.*GROK_OPTUNA.*postgresql://"):
        storage_url(remote)
    monkeypatch.setenv("GROK_OPTUNA", "postgresql://me:secret@host/optuna")
    named = load_settings("/somewhere")
    assert storage_url(named) == "postgresql://me:secret@host/optuna"
    assert b"secret" not in pickle.dumps(named)
    monkeypatch.setenv("GROK_OPTUNA", "optuna.db")
    with pytest.raises(SettingsError, match=r"GROK_OPTUNA = 'optuna.db'.*sqlite:///"):
        load_settings("/somewhere")


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@127.0.0.1:1/optuna", "nosuch://me:secret@host/x"]
)
def test_a_storage_that_does_not_answer_is_named_without_its_password(plane, url):
    with pytest.raises(SettingsError, match="storage = ") as refused:
        BoundaryStudy("wall", plane, 1, url)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_database_is_named(plane, tmp_path):
    (tmp_path / "optuna.db").write_text("not a database, but long enough to be taken for one" * 9)
    with pytest.raises(SettingsError, match=r"storage = .*optuna.db.*database"):
        BoundaryStudy("wall", plane, 1, f"sqlite:///{tmp_path}/optuna.db")
