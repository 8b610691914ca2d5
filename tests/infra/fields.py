"""The fields that manifests may have: those of Kubernetes, and what is used of KubeRay's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kubernetes_validate

from tests.infra.manifests import Document

KUBERNETES = "1.37.0"

_TEMPLATE, _MAP = "template", "map"
_GROUP = {"rayStartParams": _MAP, "template": _TEMPLATE}
_CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": str, "secretName": str},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {
        "version": str,
        "upscalingMode": str,
        "idleTimeoutSeconds": int,
        "resources": _MAP,
        "env": list,
        "securityContext": _MAP,
        "volumeMounts": list,
    },
    "headGroupSpec": {"serviceType": str, **_GROUP},
    "workerGroupSpecs": [
        {"groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int, **_GROUP}
    ],
}
FIELDS: dict[str, Any] = {
    "RayCluster": _CLUSTER,
    "RayJob": {
        "entrypoint": str,
        "submissionMode": str,
        "backoffLimit": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "rayClusterSpec": _CLUSTER,
    },
}
"""The fields of `spec` that are used, as KubeRay 1.6 defines them; all of them have to be there."""


def against_schema(document: Document) -> Iterator[str]:
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(str(part) for part in error.path)}: {error.message[:200]}"


def of_fields(value: Any, shape: Any, where: str) -> Iterator[str]:
    """The fields of Ray's kinds, which no packaged schema has."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{where} is no mapping"
            return
        for name in value.keys() - shape.keys():
            yield f"{where}.{name} is unknown"
        for name in shape.keys() - value.keys():
            yield f"{where}.{name} is missing"
        for name in value.keys() & shape.keys():
            yield from of_fields(value[name], shape[name], f"{where}.{name}")
    elif isinstance(shape, list):
        for i, item in enumerate(value):
            yield from of_fields(item, shape[0], f"{where}[{i}]")
    elif shape in (_TEMPLATE, _MAP):
        if not isinstance(value, dict):
            yield f"{where} is no mapping"
    elif type(value) is not shape:
        yield f"{where} = {value!r} is no {shape.__name__}"
