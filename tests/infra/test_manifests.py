"""The manifests of the cluster: what can be known of them without a cluster.

Core kinds against the schemas of Kubernetes, Ray's kinds against the fields that are used, all
against rules.
"""

import pytest

from tests.infra.fields import FIELDS, against_schema, of_fields
from tests.infra.manifests import (
    CLUSTERS,
    CONTAINERS,
    DOCUMENTS,
    NEEDS_CLIENT,
    NEEDS_TOKEN,
    PINNED,
    PODS,
    RAY_KINDS,
    RAY_PODS,
    SECRET_NAME,
    WITH_PASSWORD,
    cluster_of,
    containers,
    environment,
    name_of,
    values_of,
)

SPOT_KEYS = {
    "cloud.google.com/gke-spot",
    "eks.amazonaws.com/capacityType",
    "karpenter.sh/capacity-type",
    "kubernetes.azure.com/scalesetpriority",
}


def of_each(pairs):
    return pytest.mark.parametrize(
        ("where", "it"), pairs, ids=lambda x: x if isinstance(x, str) else ""
    )


def node_rules(spec):
    rules = spec.get("affinity", {}).get("nodeAffinity", {})
    return rules.get("requiredDuringSchedulingIgnoredDuringExecution", {})


# --- rules ---------------------------------------------------------------------------------------


@of_each([(name_of(d), d) for d in DOCUMENTS])
def test_a_document_has_fields_that_there_are(where, it):
    if it["kind"] not in RAY_KINDS:
        assert list(against_schema(it)) == []
        return
    assert it["apiVersion"] == "ray.io/v1"
    assert list(of_fields(it["spec"], FIELDS[it["kind"]], "spec")) == []


@of_each(RAY_PODS)
def test_a_pod_of_ray_has_fields_that_there_are(where, it):
    metadata = {"name": "x", **it.get("metadata", {})}
    pod = {"apiVersion": "v1", "kind": "Pod", **it, "metadata": metadata}
    assert list(against_schema(pod)) == []


@of_each([(name_of(d), cluster_of(d)) for d in CLUSTERS])
def test_a_cluster_asks_for_a_token_and_scales_from_none(where, it):
    assert it["authOptions"]["mode"] == "token"
    assert it["enableInTreeAutoscaling"]
    scaler = it["autoscalerOptions"]
    assert scaler["upscalingMode"] in ("Default", "Aggressive", "Conservative")
    assert environment(scaler).keys() >= NEEDS_TOKEN
    groups = it["workerGroupSpecs"]
    assert {"gpu", "cpu"} <= {group["groupName"] for group in groups}
    for group in groups:
        assert 0 == group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (it["headGroupSpec"], *groups):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@of_each(RAY_PODS)
def test_a_node_has_its_keys_its_probes_and_a_gpu_just_in_its_group(where, it):
    for container in it["spec"]["containers"]:
        assert environment(container).keys() >= NEEDS_TOKEN | NEEDS_CLIENT
        # KubeRay's own need wget
        assert {"livenessProbe", "readinessProbe"} <= container.keys()
        limits = container["resources"]["limits"]
        assert ("nvidia.com/gpu" in limits) == (where == "group gpu")


@of_each(RAY_PODS)
def test_workers_may_be_on_spot_machines_and_the_head_may_not(where, it):
    spec, rules = it["spec"], node_rules(it["spec"])
    tolerated = {rule.get("key") for rule in spec.get("tolerations", [])}
    if where != "head":
        assert tolerated >= SPOT_KEYS
        assert not rules, "spot must be a wish, not a condition"
        return
    assert not tolerated
    for term in rules["nodeSelectorTerms"]:  # one of them suffices: each must forbid
        assert {e["key"] for e in term["matchExpressions"] if e["operator"] == "NotIn"} >= SPOT_KEYS


@of_each([(where, pod) for where, pod in RAY_PODS if where != "head"])
def test_workers_have_time_to_save_between_the_notice_and_the_kill(where, it):
    for container in it["spec"]["containers"]:
        words = container["lifecycle"]["preStop"]["exec"]["command"]
        assert "/app/infra/drain.py" in words
        assert it["spec"]["terminationGracePeriodSeconds"] >= float(words[-1]) + 10


@of_each(PODS)
def test_a_pod_is_restricted(where, it):
    """Pod Security, level restricted."""
    spec = it["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    for volume in spec.get("volumes", []):
        assert volume.keys() & {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}
    for container in containers(it):
        assert PINNED.search(container["image"])
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


@of_each(CONTAINERS)
def test_a_container_has_no_privileges_and_bounds(where, it):
    context = it["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    for kind in ("requests", "limits"):
        assert {"cpu", "memory"} <= it["resources"][kind].keys()


@of_each(CONTAINERS)
def test_what_is_secret_comes_from_a_secret(where, it):
    for name, entry in environment(it).items():
        if SECRET_NAME.search(name):
            assert not entry["valueFrom"]["secretKeyRef"].get("optional"), name
        assert not WITH_PASSWORD.search(entry.get("value", "")), name
        assert name != "RAY_AUTH_MODE" or entry["value"] == "token"


def test_secrets_and_keys_that_are_used_are_in_the_example():
    known = {
        (d["metadata"]["name"], key)
        for d in DOCUMENTS if d["kind"] == "Secret" for key in d["stringData"]
    }  # fmt: skip
    references = list(values_of(DOCUMENTS, "secretKeyRef"))
    used = {(reference["name"], reference["key"]) for reference in references}
    used |= {(name, "auth_token") for name in values_of(DOCUMENTS, "secretName")}
    assert used <= known


def test_all_run_the_same_image():
    assert (
        len({c["image"] for where, t in PODS for c in containers(t) if "postgres" not in where})
        == 1
    )
