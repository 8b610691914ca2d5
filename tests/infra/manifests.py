"""The documents of the cluster's manifests, and what stands in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.environment import ROOT

K8S = ROOT / "infra" / "k8s"
RAY_KINDS = ("RayCluster", "RayJob")
SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY")
WITH_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
PINNED = re.compile(r":v?\d+\.\d+[^/]*$")
PLACEHOLDER = "REPLACE-ME"
Document = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML in which a key may stand once only."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Document:
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"twice: {twice}, {node.start_mark}"
        return super().construct_mapping(node, deep)


def load(text: str) -> list[Document]:
    """Its documents; what an anchor names stands in each place anew."""
    return json.loads(json.dumps(list(yaml.load_all(text, Loader=_Loader))))


def documents() -> list[Document]:
    files = [path for path in sorted(K8S.glob("*.yaml")) if path.stem != "kustomization"]
    return [document for path in files for document in load(path.read_text())]


def name_of(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def cluster_of(document: Document) -> Document:
    spec = document["spec"]
    return spec["rayClusterSpec"] if document["kind"] == "RayJob" else spec


def templates(document: Document) -> Iterator[tuple[str, Document]]:
    """Every pod that a document makes, by where it stands."""
    if document["kind"] in RAY_KINDS:
        cluster = cluster_of(document)
        yield "head", cluster["headGroupSpec"]["template"]
        for group in cluster["workerGroupSpecs"]:
            yield f"group {group['groupName']}", group["template"]
    elif document["kind"] in ("Deployment", "StatefulSet"):
        yield "pod", document["spec"]["template"]


def containers(template: Document) -> list[Document]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def values_of(value: Any, key: str) -> Iterator[Any]:
    """All that stands under a key, anywhere."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from values_of(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from values_of(item, key)


DOCUMENTS = documents()
CLUSTERS = [d for d in DOCUMENTS if d["kind"] in RAY_KINDS]
PODS = [(f"{name_of(d)}, {where}", t) for d in DOCUMENTS for where, t in templates(d)]
RAY_PODS = [(where, t) for d in CLUSTERS for where, t in templates(d)]
CONTAINERS = [
    *((f"{where}, {c['name']}", c) for where, t in PODS for c in containers(t)),
    # the operator makes a container of it, in the head's pod
    *((f"{name_of(d)}, autoscaler", cluster_of(d)["autoscalerOptions"]) for d in CLUSTERS),
]
NEEDS_TOKEN = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
NEEDS_CLIENT = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
}


def find(name):
    return next(d for d in DOCUMENTS if name_of(d) == name)


def environment(container):
    return {entry["name"]: entry for entry in container.get("env", [])}
