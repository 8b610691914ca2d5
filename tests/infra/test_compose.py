"""compose.yaml: the rules of the cluster's manifests, as far as compose can keep them."""

import re
import subprocess

import pytest

from tests.infra.manifests import PINNED, ROOT, SECRET_NAME, WITH_PASSWORD, load

COMPOSE = ROOT / "infra" / "compose.yaml"
(DOCUMENT,) = load(COMPOSE.read_text())
SERVICES = DOCUMENT["services"]
SERVICE_KEYS = {
    *("image", "build", "user", "command", "environment", "networks", "ports", "volumes", "tmpfs"),
    *("shm_size", "init", "stop_grace_period", "stop_signal", "pre_stop", "depends_on", "deploy"),
    *("healthcheck", "read_only", "cap_drop", "security_opt", "restart"),
}
REFUSED = re.compile(r"\$\{(\w+):\?[^}]+\}")
"""A variable without which compose does not start."""
OPTIONAL = {"GIT_COMMIT"}

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))


@each_service
def test_a_service_has_no_privileges_and_is_watched(service):
    assert service.keys() <= SERVICE_KEYS
    assert PINNED.search(service["image"])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "healthcheck" in service or service["restart"] == "no"
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@each_service
def test_what_is_secret_is_a_variable_that_has_to_be_set(service):
    for key, value in service.get("environment", {}).items():
        assert not SECRET_NAME.search(key) or REFUSED.fullmatch(str(value)), key
        assert not WITH_PASSWORD.search(str(value)), key


@each_service
def test_what_a_service_names_is_there(service):
    assert set(service.get("depends_on", ())) <= SERVICES.keys()
    assert set(service.get("networks", ())) <= DOCUMENT["networks"].keys()
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (COMPOSE.parent / source).is_file()
            assert volume.endswith(":ro")
        else:
            assert source in DOCUMENT["volumes"]


def test_the_example_names_every_variable_and_gives_none_a_value():
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text())) - OPTIONAL
    lines = (ROOT / "infra" / "env.example").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    assert {name for name, _ in pairs} == used
    assert not [value for _, value in pairs if value]


def test_git_ignores_what_holds_secrets():
    """If this fails: the files with the passwords could be committed."""
    secret = ["infra/.env", "infra/k8s/secrets.yaml"]
    done = subprocess.run(
        ["git", "check-ignore", *secret], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == secret


def test_images_are_those_of_the_cluster():
    cluster = (ROOT / "infra" / "k8s" / "postgres.yaml").read_text()
    assert f"image: {SERVICES['postgres']['image']}\n" in cluster
    own = {s["image"] for s in SERVICES.values() if "grok-sweep" in s["image"]}
    assert len(own) == 1
    assert f"/{own.pop()}\n" in (ROOT / "infra" / "k8s" / "mlflow.yaml").read_text()


def test_authentication_is_on():
    for name in ("head", "worker"):
        assert SERVICES[name]["environment"]["RAY_AUTH_MODE"] == "token"
        assert "RAY_AUTH_TOKEN" in SERVICES[name]["environment"]
    assert "--app-name=basic-auth" in SERVICES["mlflow"]["command"]
