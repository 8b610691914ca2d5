"""What the manifests must be, as functions that return complaints: none means well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.infra.fields import FIELDS, Document, against_schema, of_fields

RAY_KINDS = ("RayCluster", "RayJob")
SPOT_KEYS = {
    "cloud.google.com/gke-spot",
    "eks.amazonaws.com/capacityType",
    "karpenter.sh/capacity-type",
    "kubernetes.azure.com/scalesetpriority",
}
NEEDS_TOKEN = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
NEEDS_CLIENT = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
}
SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY")
PLACEHOLDER = "REPLACE-ME"


class _Loader(yaml.SafeLoader):
    """YAML in which a key may stand once only."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Document:
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def load(text: str) -> list[Document]:
    """Its documents; what an anchor names stands in each place anew."""
    return json.loads(json.dumps(list(yaml.load_all(text, Loader=_Loader))))


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


def complaints(documents: list[Document]) -> list[str]:
    """All that is wrong with the manifests of one cluster, each with where."""
    found = [f"{name_of(d)}: {text}" for d in documents for text in of_document(d)]
    images = {
        container["image"]
        for document in documents
        if name_of(document) != "StatefulSet postgres"
        for _, template in templates(document)
        for container in containers(template)
    }
    if len(images) > 1:
        found.append(f"different images: {sorted(images)}")
    return found + unknown_references(documents)


def of_document(document: Document) -> Iterator[str]:
    if document["kind"] in RAY_KINDS:
        if document["apiVersion"] != "ray.io/v1":
            yield f"apiVersion {document['apiVersion']}"
        strange = list(of_fields(document["spec"], FIELDS[document["kind"]], "spec"))
        yield from strange
        if strange:
            return  # the rest would stumble
        yield from of_cluster(cluster_of(document))
    else:
        yield from against_schema(document)
    for where, template in templates(document):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **template}
        pod["metadata"] = {"name": "x", **template.get("metadata", {})}
        if document["kind"] in RAY_KINDS:
            yield from (f"{where}: {text}" for text in against_schema(pod))
        yield from (f"{where}: {text}" for text in of_pod(template["spec"]))


def of_cluster(cluster: Document) -> Iterator[str]:
    if cluster["authOptions"]["mode"] != "token":
        yield "authentication is off"
    scaler = cluster["autoscalerOptions"]
    if not cluster["enableInTreeAutoscaling"]:
        yield "autoscaling is off"
    if scaler["upscalingMode"] not in ("Default", "Aggressive", "Conservative"):
        yield f"upscalingMode {scaler['upscalingMode']}"
    # the operator makes a container of it, in the head's pod
    yield from (f"autoscaler: {text}" for text in of_container(scaler))
    yield from (f"autoscaler: {text}" for text in of_environment(scaler, NEEDS_TOKEN))
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    if not {"gpu", "cpu"} <= groups.keys():
        yield "needs a GPU group and a CPU group"
    for group in groups.values():
        if not 0 == group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]:
            yield f"group {group['groupName']}: not 0 = minReplicas <= replicas <= maxReplicas"
    parameters = [cluster["headGroupSpec"], *groups.values()]
    for value in (v for p in parameters for v in p["rayStartParams"].values()):
        if not isinstance(value, str):
            yield f"rayStartParams: {value!r} is no string"
    yield from of_spot(cluster)
    for where, template in templates({"kind": "RayCluster", "spec": cluster}):
        spec = template["spec"]
        for container in spec["containers"]:
            need = NEEDS_TOKEN | NEEDS_CLIENT
            yield from (f"{where}: {text}" for text in of_environment(container, need))
            for probe in ("livenessProbe", "readinessProbe"):
                if probe not in container:
                    yield f"{where}: no {probe}: KubeRay's own needs wget"
            gpus = container["resources"].get("limits", {}).get("nvidia.com/gpu")
            if (gpus is not None) != (where == "group gpu"):
                yield f"{where}: nvidia.com/gpu is {gpus}"
        if where != "head":
            yield from (f"{where}: {text}" for text in of_preemption(spec))


def of_spot(cluster: Document) -> Iterator[str]:
    head = cluster["headGroupSpec"]["template"]["spec"]
    if head.get("tolerations"):
        yield "head: tolerates taints, as of spot machines"
    rules = head.get("affinity", {}).get("nodeAffinity", {})
    terms = rules.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in terms.get("nodeSelectorTerms", [{}]):  # one of them suffices: each must forbid
        not_in = {e["key"] for e in term.get("matchExpressions", []) if e["operator"] == "NotIn"}
        if not not_in >= SPOT_KEYS:
            yield f"head: may be on a spot machine: {sorted(SPOT_KEYS - not_in)}"
    for group in cluster["workerGroupSpecs"]:
        spec = group["template"]["spec"]
        missing = SPOT_KEYS - {rule["key"] for rule in spec.get("tolerations", [])}
        if missing:
            yield f"group {group['groupName']}: does not tolerate {sorted(missing)}"
        affinity = spec.get("affinity", {}).get("nodeAffinity", {})
        if "requiredDuringSchedulingIgnoredDuringExecution" in affinity:
            yield f"group {group['groupName']}: spot must be a wish, not a condition"


def of_preemption(spec: Document) -> Iterator[str]:
    """There is time to save between the notice and the kill."""
    for container in spec["containers"]:
        command = container.get("lifecycle", {}).get("preStop", {}).get("exec", {})
        words = command.get("command", [])
        if "/app/infra/drain.py" not in words:
            yield "nothing asks the workers to save before the pod stops"
        elif spec.get("terminationGracePeriodSeconds", 30) < float(words[-1]) + 10:
            yield "the pod is killed before the workers have saved"


def of_pod(spec: Document) -> Iterator[str]:
    """Pod Security, level restricted, and more."""
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", []):
        if not volume.keys() & {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}:
            yield f"volume {volume['name']}"
    for container in containers({"spec": spec}):
        where = container["name"]
        image = container["image"]
        tag = image.rpartition("/")[2].partition(":")[2]
        if not re.match(r"v?\d+\.\d+", tag):
            yield f"{where}: image {image} is not pinned to a version"
        if not any(mount["mountPath"] == "/tmp" for mount in container.get("volumeMounts", [])):
            yield f"{where}: /tmp cannot be written"
        yield from (f"{where}: {text}" for text in of_container(container))
        yield from (f"{where}: {text}" for text in of_environment(container, set()))


def of_container(container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root file system can be written"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        if not {"cpu", "memory"} <= resources.get(kind, {}).keys():
            yield f"no {kind} of CPU and memory"


def of_environment(container: Document, needed: set[str]) -> Iterator[str]:
    entries = {entry["name"]: entry for entry in container.get("env", [])}
    missing = needed - entries.keys()
    if missing:
        yield f"lacks {sorted(missing)}"
    if entries.get("RAY_AUTH_MODE", {"value": "token"}).get("value") != "token":
        yield "authentication is off"
    for name, entry in entries.items():
        is_secret = SECRET_NAME.search(name) or name == "AWS_ACCESS_KEY_ID"
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        if is_secret and (reference is None or reference.get("optional")):
            yield f"{name} is not from a Secret"
        if "value" in entry and re.search(r"://[^/@]*:[^/@]*@", entry["value"]):
            yield f"{name} holds a password"


def unknown_references(documents: list[Document]) -> list[str]:
    """Secrets and their keys that no Secret of the example has."""
    known = {
        d["metadata"]["name"]: d["stringData"].keys() for d in documents if d["kind"] == "Secret"
    }
    used = {
        (reference["name"], reference["key"])
        for document in documents
        for reference in values_of(document, "secretKeyRef")
    } | {(name, "auth_token") for d in documents for name in values_of(d, "secretName")}
    return [
        f"Secret {name} has no {key}"
        for name, key in sorted(used)
        if key not in known.get(name, ())
    ]


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
