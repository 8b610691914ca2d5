"""Where MLflow looks for the files of a store's sweeps: in `mlartifacts` of the store.

MLflow keeps whole paths, so to it a store that was copied or moved is still where it was. A
database that lies in the store goes with it and is corrected. Another may serve several stores, of
which an experiment's name does not tell one, so it is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlflow import MlflowClient
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlRun
from sqlalchemy import create_engine, select, update

from service.settings import ARTIFACTS, sqlite_file


def misplaced(client: MlflowClient, artifacts: str, sweeps: Iterable[str]) -> dict[str, str]:
    """Those of the sweeps whose files MLflow looks for in another store, and where that is."""
    known = filter(None, map(client.get_experiment_by_name, sweeps))
    found = {each.name: each.artifact_location for each in known}
    return {name: place for name, place in found.items() if is_elsewhere(place, artifacts)}


def is_elsewhere(location: str, artifacts: str) -> bool:
    return location != artifacts and location.endswith(f"/{ARTIFACTS}")


def goes_along(uri: str, artifacts: str) -> bool:
    """Whether the database lies in the store."""
    file = sqlite_file(uri)
    return file is not None and file.is_relative_to(Path(artifacts).parent)


def correct(uri: str, artifacts: str, sweeps: Iterable[str]) -> None:
    """Point the experiments and runs of these sweeps to the store that their database lies in."""
    mine = select(SqlExperiment.experiment_id).where(SqlExperiment.name.in_(list(sweeps)))
    inner = "/" + SqlRun.run_uuid + "/artifacts"
    engine = create_engine(uri)
    with engine.begin() as database:
        database.execute(
            update(SqlRun)
            .where(SqlRun.experiment_id.in_(mine))
            .where(SqlRun.artifact_uri.endswith(f"/{ARTIFACTS}" + inner))
            .values(artifact_uri=artifacts + inner)
        )
        database.execute(
            update(SqlExperiment)
            .where(SqlExperiment.experiment_id.in_(mine))
            .where(SqlExperiment.artifact_location.endswith(f"/{ARTIFACTS}"))
            .values(artifact_location=artifacts)
        )
    engine.dispose()
