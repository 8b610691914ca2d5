"""The manifests of the cluster: what can be known of them without a cluster.

Core kinds against the schemas of Kubernetes, Ray's kinds against the fields that are used, all
against rules.
"""

import configparser
import json
import re
import shlex

import pytest
import yaml

from service.settings import load_settings
from sweeps import grok_phase
from tests.infra.fields import FIELDS, against_schema, of_fields
from tests.infra.manifests import (
    K8S,
    PINNED,
    PLACEHOLDER,
    RAY_KINDS,
    ROOT,
    SECRET_NAME,
    WITH_PASSWORD,
    cluster_of,
    containers,
    documents,
    load,
    name_of,
    templates,
    values_of,
)

DOCUMENTS = documents()
CLUSTERS = [d for d in DOCUMENTS if d["kind"] in RAY_KINDS]
PODS = [(f"{name_of(d)}, {where}", t) for d in DOCUMENTS for where, t in templates(d)]
RAY_PODS = [(where, t) for d in CLUSTERS for where, t in templates(d)]
CONTAINERS = [
    *((f"{where}, {c['name']}", c) for where, t in PODS for c in containers(t)),
    # the operator makes a container of it, in the head's pod
    *((f"{name_of(d)}, autoscaler", cluster_of(d)["autoscalerOptions"]) for d in CLUSTERS),
]
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
OTHERS_READ = NEEDS_TOKEN | NEEDS_CLIENT | {
    *("PGPASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"),
    *("MLFLOW_BACKEND_STORE_URI", "MLFLOW_FLASK_SERVER_SECRET_KEY"),
    *("MLFLOW_AUTH_CONFIG_PATH", "MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD"),
    *("MLFLOW_SERVER_ENABLE_JOB_EXECUTION",),
}  # fmt: skip
"""Variables that boto3, MLflow, Ray, libpq and PostgreSQL's image read."""


def of_each(pairs):
    return pytest.mark.parametrize(
        ("where", "it"), pairs, ids=lambda x: x if isinstance(x, str) else ""
    )


def find(name):
    return next(d for d in DOCUMENTS if name_of(d) == name)


def environment(container):
    return {entry["name"]: entry for entry in container.get("env", [])}


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


# --- what belongs to what ------------------------------------------------------------------------


def test_the_job_makes_the_cluster_that_stands_beside_it():
    assert cluster_of(find("RayJob grok-sweep")) == cluster_of(find("RayCluster grok"))


def test_kustomization_names_every_manifest_but_secrets_and_ray():
    kustomization = yaml.safe_load((K8S / "kustomization.yaml").read_text())
    apart = {"kustomization.yaml", "secrets.example.yaml", "rayjob.yaml", "raycluster.yaml"}
    assert set(kustomization["resources"]) == {path.name for path in K8S.glob("*.yaml")} - apart
    made = {each["name"]: each["files"] for each in kustomization["configMapGenerator"]}
    mounted = {volume["name"] for volume in values_of(DOCUMENTS, "configMap")}
    assert made.keys() == mounted
    assert all((K8S / name).is_file() for files in made.values() for name in files)


def test_ray_is_the_version_that_is_tested():
    version = cluster_of(find("RayCluster grok"))["rayVersion"]
    assert f"ray=={version}" in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_image_has_the_version_of_the_project():
    text = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"', text, re.MULTILINE)[1]
    images = {c["image"] for _, t in PODS for c in containers(t)}
    assert {i.rpartition(":")[2] for i in images if "grok-sweep" in i} == {version}


def test_the_entrypoint_can_be_called():
    entrypoint = find("RayJob grok-sweep")["spec"]["entrypoint"]
    python, script, *flags = shlex.split(entrypoint)
    assert python == "python"
    assert (ROOT / script.removeprefix("/app/")).is_file()
    args = grok_phase.build_parser().parse_args(flags)
    assert grok_phase.preset_configs(args.preset, grok_phase.overrides(args))


def test_scripts_that_pods_run_exist():
    words = [word for command in values_of(DOCUMENTS, "command") for word in command]
    scripts = [word for word in words if word.startswith("/app/")]
    assert scripts
    assert not [word for word in scripts if not (ROOT / word.removeprefix("/app/")).is_file()]


def test_every_variable_is_read_by_something():
    source = "".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    names = {entry["name"] for env in values_of(DOCUMENTS, "env") for entry in env}
    names |= find("ConfigMap grok-settings")["data"].keys()
    assert not {name for name in names - OTHERS_READ if f'"{name}"' not in source}


def test_the_settings_are_settings(monkeypatch):
    for name, value in find("ConfigMap grok-settings")["data"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.store.startswith("s3://")
    assert settings.tracking_uri == "http://mlflow:5000"


def test_the_policy_is_about_the_store_and_asks_for_no_more():
    store = find("ConfigMap grok-settings")["data"]["GROK_STORE"]
    bucket, _, prefix = store.removeprefix("s3://").partition("/")
    policy = json.loads((ROOT / "infra" / "s3-policy.json").read_text())
    objects, listing = policy["Statement"]
    assert objects["Resource"] == f"arn:aws:s3:::{bucket}/{prefix}/*"
    assert listing["Resource"] == f"arn:aws:s3:::{bucket}"
    assert [prefix, f"{prefix}/*"] in listing["Condition"]["StringLikeIfExists"].values()
    actions = [*objects["Action"], listing["Action"]]
    assert not [action for action in actions if "*" in action]
    assert {s["Effect"] for s in policy["Statement"]} == {"Allow"}


def test_network_policies_close_every_pod_and_select_pods_that_exist():
    policies = [d for d in DOCUMENTS if d["kind"] == "NetworkPolicy"]
    assert {} in [policy["spec"]["podSelector"] for policy in policies]
    labels = [t["metadata"]["labels"] for _, t in PODS if "labels" in t.get("metadata", {})]
    labels.append({"ray.io/is-ray-node": "yes", "ray.io/node-type": "head"})  # KubeRay's own
    selectors = [
        selector["matchLabels"]
        for kind in ("NetworkPolicy", "PodDisruptionBudget", "Service")
        for d in DOCUMENTS
        if d["kind"] == kind
        for key in ("podSelector", "selector")
        for selector in values_of(d["spec"], key)
        if "matchLabels" in selector
    ]
    assert len(selectors) > 6
    assert not [s for s in selectors if not any(s.items() <= label.items() for label in labels)]


@pytest.mark.parametrize("app", ["mlflow", "postgres"])
def test_what_must_not_be_moved_has_a_budget(app):
    assert find(f"PodDisruptionBudget {app}")["spec"]["minAvailable"] == 1


def test_no_credential_stands_anywhere():
    parser = configparser.ConfigParser()
    parser.read(K8S / "basic_auth.ini")
    assert not [key for key in parser["mlflow"] if "password" in key]
    example = K8S / "secrets.example.yaml"
    secrets = load(example.read_text())
    assert {v for d in secrets for v in d["stringData"].values()} == {PLACEHOLDER}
    for path in [*(ROOT / "infra").rglob("*"), ROOT / "Dockerfile"]:
        if not path.is_file() or path.suffix == ".pyc" or "local" in path.parts:
            continue
        text = path.read_text()
        assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY", text), path
        assert not re.search(r"\b[0-9a-f]{32,}\b|://[^/@\s:${}]+:[^/@\s]+@", text), path
        assert PLACEHOLDER not in text or path.suffix == ".py" or path == example, path
