"""The manifests of the cluster: what can be known of them without a cluster.

Core kinds against the schemas of Kubernetes, Ray's kinds against the fields that are used, all
against rules; then each rule against manifests that break it.
"""

import configparser
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from service.settings import load_settings
from sweeps import grok_phase
from tests.infra.manifests import (
    PLACEHOLDER,
    cluster_of,
    complaints,
    containers,
    load,
    name_of,
    templates,
    values_of,
)

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "infra" / "k8s"
FILES = sorted(K8S.glob("*.yaml"))
OTHERS_READ = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_USERNAME"),
    *("MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "PGPASSWORD"),
    *("POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "MLFLOW_BACKEND_STORE_URI"),
    *("MLFLOW_AUTH_CONFIG_PATH", "MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD"),
    *("MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"),
}
"""Variables that boto3, MLflow, Ray, libpq and PostgreSQL's image read."""


def documents():
    return [d for path in FILES if path.stem != "kustomization" for d in load(path.read_text())]


def find(docs, name):
    return next(d for d in docs if name_of(d) == name)


def ray(docs):
    return cluster_of(find(docs, "RayCluster grok"))


def gpu(docs):
    return ray(docs)["workerGroupSpecs"][0]


def pod(docs, name):
    return next(templates(find(docs, name)))[1]["spec"]


def test_all_is_well():
    assert complaints(documents()) == []


def test_the_job_makes_the_cluster_that_stands_beside_it():
    docs = documents()
    assert cluster_of(find(docs, "RayJob grok-sweep")) == ray(docs)


def test_kustomization_names_every_manifest_but_secrets_and_ray():
    kustomization = yaml.safe_load((K8S / "kustomization.yaml").read_text())
    apart = {"kustomization.yaml", "secrets.example.yaml", "rayjob.yaml", "raycluster.yaml"}
    assert set(kustomization["resources"]) == {path.name for path in FILES} - apart
    made = {
        generator["name"]: generator["files"] for generator in kustomization["configMapGenerator"]
    }
    mounted = {volume["name"] for d in documents() for volume in values_of(d, "configMap")}
    assert made.keys() == mounted
    assert all((K8S / name).is_file() for files in made.values() for name in files)


def test_ray_is_the_version_that_is_tested():
    version = ray(documents())["rayVersion"]
    assert f"ray=={version}" in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_image_has_the_version_of_the_project():
    text = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"', text, re.MULTILINE)[1]
    images = {c["image"] for d in documents() for _, t in templates(d) for c in containers(t)}
    own = {image for image in images if "grok-sweep" in image}
    assert {image.rpartition(":")[2] for image in own} == {version}


def test_the_entrypoint_can_be_called():
    entrypoint = find(documents(), "RayJob grok-sweep")["spec"]["entrypoint"]
    python, script, *flags = shlex.split(entrypoint)
    assert python == "python"
    assert (ROOT / script.removeprefix("/app/")).is_file()
    args = grok_phase.build_parser().parse_args(flags)
    assert grok_phase.preset_configs(args.preset, grok_phase.overrides(args))


def test_scripts_that_pods_run_exist():
    words = [w for d in documents() for command in values_of(d, "command") for w in command]
    scripts = [word for word in words if word.startswith("/app/")]
    assert scripts
    assert not [word for word in scripts if not (ROOT / word.removeprefix("/app/")).is_file()]


def test_every_variable_is_read_by_something():
    source = "".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    docs = documents()
    names = {entry["name"] for d in docs for env in values_of(d, "env") for entry in env}
    names |= find(docs, "ConfigMap grok-settings")["data"].keys()
    assert not {name for name in names - OTHERS_READ if f'"{name}"' not in source}


def test_the_settings_are_settings(monkeypatch):
    for name, value in find(documents(), "ConfigMap grok-settings")["data"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.store.startswith("s3://")
    assert settings.tracking_uri == "http://mlflow:5000"


def test_the_policy_is_about_the_store_and_asks_for_no_more():
    store = find(documents(), "ConfigMap grok-settings")["data"]["GROK_STORE"]
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
    docs = documents()
    policies = [d for d in docs if d["kind"] == "NetworkPolicy"]
    assert {} in [policy["spec"]["podSelector"] for policy in policies]
    labels = [t["metadata"]["labels"] for d in docs for _, t in templates(d) if "labels" in
              t.get("metadata", {})]  # fmt: skip
    labels.append({"ray.io/is-ray-node": "yes", "ray.io/node-type": "head"})  # KubeRay's own
    selectors = [
        selector["matchLabels"]
        for kind in ("NetworkPolicy", "PodDisruptionBudget", "Service")
        for d in docs
        if d["kind"] == kind
        for key in ("podSelector", "selector")
        for selector in values_of(d["spec"], key)
        if "matchLabels" in selector
    ]
    assert len(selectors) > 6
    assert not [s for s in selectors if not any(s.items() <= label.items() for label in labels)]


@pytest.mark.parametrize("app", ["mlflow", "postgres"])
def test_what_must_not_be_moved_has_a_budget(app):
    assert find(documents(), f"PodDisruptionBudget {app}")["spec"]["minAvailable"] == 1


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


def test_a_key_may_stand_once_only():
    with pytest.raises(yaml.YAMLError, match="twice"):
        load("a: {b: 1, b: 2}")


def drop(mapping, key):
    del mapping[key]


BREAKS = {
    "may run as root": lambda d: drop(pod(d, "Deployment mlflow"), "securityContext"),
    "its root file system can be written": lambda d: drop(
        ray(d)["headGroupSpec"]["template"]["spec"]["containers"][0], "securityContext"
    ),
    "keeps capabilities": lambda d: drop(
        pod(d, "StatefulSet postgres")["containers"][0]["securityContext"], "capabilities"
    ),
    "no seccomp profile": lambda d: drop(
        gpu(d)["template"]["spec"]["securityContext"], "seccompProfile"
    ),
    "no limits of CPU and memory": lambda d: drop(
        gpu(d)["template"]["spec"]["containers"][0]["resources"]["limits"], "memory"
    ),
    "hostNetwork": lambda d: pod(d, "Deployment mlflow").update(hostNetwork=True),
    "volume host": lambda d: pod(d, "Deployment mlflow")["volumes"].append(
        {"name": "host", "hostPath": {"path": "/"}}
    ),
    "minReplica is unknown": lambda d: gpu(d).update(minReplica=1),
    "rayVersion is missing": lambda d: drop(ray(d), "rayVersion"),
    "is no int": lambda d: gpu(d).update(maxReplicas="8"),
    "Additional properties": lambda d: pod(d, "Deployment mlflow").update(restartpolicy="x"),
    "group gpu: spec": lambda d: gpu(d)["template"]["spec"].update(tolerance=[]),
    "different images": lambda d: gpu(d)["template"]["spec"]["containers"][0].update(
        image="registry.example.com/grok-sweep:0.0.9"
    ),
    "is not pinned": lambda d: pod(d, "StatefulSet postgres")["containers"][0].update(
        image="postgres:latest"
    ),
    "is not from a Secret": lambda d: ray(d)["autoscalerOptions"]["env"][1].update(
        value="abc", valueFrom={}
    ),
    "holds a password": lambda d: pod(d, "Deployment mlflow")["containers"][0]["env"].append(
        {"name": "DB", "value": "postgresql://mlflow:abc@postgres/mlflow"}
    ),
    "has no auth_tokens": lambda d: ray(d)["headGroupSpec"]["template"]["spec"]["containers"][0][
        "env"
    ][1]["valueFrom"]["secretKeyRef"].update(key="auth_tokens"),
    "lacks ['RAY_AUTH_TOKEN']": lambda d: gpu(d)["template"]["spec"]["containers"][0]["env"].pop(1),
    "authentication is off": lambda d: ray(d)["authOptions"].update(mode="disabled"),
    "not 0 = minReplicas": lambda d: gpu(d).update(replicas=9),
    "nvidia.com/gpu is None": lambda d: drop(
        gpu(d)["template"]["spec"]["containers"][0]["resources"]["limits"], "nvidia.com/gpu"
    ),
    "head: tolerates": lambda d: ray(d)["headGroupSpec"]["template"]["spec"].update(
        tolerations=[{"operator": "Exists"}]
    ),
    "head: may be on a spot machine": lambda d: drop(
        ray(d)["headGroupSpec"]["template"]["spec"], "affinity"
    ),
    "does not tolerate": lambda d: gpu(d)["template"]["spec"]["tolerations"].pop(0),
    "nothing asks the workers": lambda d: drop(
        gpu(d)["template"]["spec"]["containers"][0], "lifecycle"
    ),
    "before the workers have saved": lambda d: gpu(d)["template"]["spec"].update(
        terminationGracePeriodSeconds=30
    ),
    "no livenessProbe": lambda d: drop(
        gpu(d)["template"]["spec"]["containers"][0], "livenessProbe"
    ),
    "/tmp cannot be written": lambda d: gpu(d)["template"]["spec"]["containers"][0][
        "volumeMounts"
    ].pop(0),
}


@pytest.mark.parametrize("complaint", BREAKS)
def test_what_is_wrong_is_found(complaint):
    docs = documents()
    BREAKS[complaint](docs)
    assert [text for text in complaints(docs) if complaint in text]
