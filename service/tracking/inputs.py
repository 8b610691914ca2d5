"""What a run comes from, in the words of MLflow: its program and commit, and its images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_GIT_COMMIT,
    MLFLOW_GIT_DIRTY,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)


def source_tags(facts: Mapping[str, str]) -> dict[str, str]:
    """Tags of what a driver says of itself (`provenance.describe`), as far as it does."""
    commit, plus, _ = facts.get("git.commit", "unknown").partition("+")
    tags = {
        MLFLOW_SOURCE_NAME: facts.get("source.name"),
        MLFLOW_SOURCE_TYPE: facts.get("source.type"),
    }
    if commit != "unknown":
        tags |= {MLFLOW_GIT_COMMIT: commit, MLFLOW_GIT_DIRTY: "true" if plus else "false"}
    return {name: text for name, text in tags.items() if text is not None}


def bank_inputs(config: Mapping[str, Any]) -> list[DatasetInput]:
    """The image bank of a trial, such as `emnist P23 N1 side16`, with its fingerprint; nothing if
    the trial is not bound to images."""
    if not config.get("images_hash"):
        return []
    data, P, N, side, order = (config[name] for name in ("data", "P", "N", "side", "alphabet"))
    dataset = Dataset(
        name=f"{data} P{P} N{N} side{side}" + (f" {order}" if order != "plain" else ""),
        digest=config["images_hash"],
        source_type="local",
        source=json.dumps({"uri": data}),
        profile=json.dumps({"num_rows": P * N, "num_elements": P * N * side**2}),
    )
    return [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])]
