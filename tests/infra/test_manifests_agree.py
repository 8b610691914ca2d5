"""What the manifests of the cluster say fits together, and fits the project."""

import configparser
import json
import re
import shlex

import pytest
import yaml

from service.settings import load_settings
from sweeps import grok_phase
from tests.infra.manifests import (
    DOCUMENTS,
    K8S,
    NEEDS_CLIENT,
    NEEDS_TOKEN,
    PLACEHOLDER,
    PODS,
    ROOT,
    cluster_of,
    containers,
    find,
    load,
    values_of,
)

OTHERS_READ = NEEDS_TOKEN | NEEDS_CLIENT | {
    *("PGPASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"),
    *("MLFLOW_BACKEND_STORE_URI", "MLFLOW_FLASK_SERVER_SECRET_KEY"),
    *("MLFLOW_AUTH_CONFIG_PATH", "MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD"),
    *("MLFLOW_SERVER_ENABLE_JOB_EXECUTION",),
}  # fmt: skip
"""Variables that boto3, MLflow, Ray, libpq and PostgreSQL's image read."""


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
