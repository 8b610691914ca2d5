"""compose.yaml: the rules of the cluster's manifests, as far as compose can keep them."""

import copy
import re
import subprocess
from pathlib import Path

import pytest

from tests.infra.manifests import load

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "infra" / "compose.yaml"
SERVICE_KEYS = {
    *("image", "build", "user", "command", "environment", "networks", "ports", "volumes", "tmpfs"),
    *("shm_size", "init", "stop_grace_period", "stop_signal", "pre_stop", "depends_on", "deploy"),
    *("healthcheck", "read_only", "cap_drop", "security_opt", "restart"),
}
REFUSED = re.compile(r"\$\{(\w+):\?[^}]+\}")
"""A variable without which compose does not start."""
OPTIONAL = {"GIT_COMMIT"}


def read():
    return load(COMPOSE.read_text())[0]


def complaints(compose):
    return [
        f"{name}: {text}"
        for name, service in compose["services"].items()
        for text in of_service(name, service, compose)
    ]


def of_service(name, service, compose):
    for key in service.keys() - SERVICE_KEYS:
        yield f"{key} is unknown"
    if not re.search(r":v?\d+\.\d+", service.get("image", "")):
        yield f"image {service.get('image')} is not pinned to a version"
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", service.get("user", "")):
        yield "may run as root"
    if service.get("read_only") is not True:
        yield "its root file system can be written"
    if service.get("cap_drop") != ["ALL"]:
        yield "keeps capabilities"
    if service.get("security_opt") != ["no-new-privileges:true"]:
        yield "may gain privileges"
    if "healthcheck" not in service and service.get("restart") != "no":
        yield "nothing tells whether it is well"
    for port in service.get("ports", []):
        if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port):
            yield f"port {port} is not on 127.0.0.1 only"
    for key, value in service.get("environment", {}).items():
        secret = re.search(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY", key)
        if secret and not REFUSED.fullmatch(str(value)):
            yield f"{key} is not a variable that has to be set"
        if re.search(r"://[^/@]*:[^/@]*@", str(value)):
            yield f"{key} holds a password"
    for other in service.get("depends_on", {}):
        if other not in compose["services"]:
            yield f"depends on {other}, which is not there"
    for network in service.get("networks", []):
        if network not in compose["networks"]:
            yield f"network {network} is not there"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            if not (COMPOSE.parent / source).is_file() or not volume.endswith(":ro"):
                yield f"volume {volume} is no file, or may be written"
        elif source not in compose["volumes"]:
            yield f"volume {source} is not there"


def test_all_is_well():
    assert complaints(read()) == []


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
    services = read()["services"]
    assert f"image: {services['postgres']['image']}\n" in cluster
    own = {s["image"] for s in services.values() if "grok-sweep" in s["image"]}
    assert len(own) == 1
    assert f"/{own.pop()}\n" in (ROOT / "infra" / "k8s" / "mlflow.yaml").read_text()


def test_authentication_is_on():
    services = read()["services"]
    for name in ("head", "worker"):
        assert services[name]["environment"]["RAY_AUTH_MODE"] == "token"
        assert "RAY_AUTH_TOKEN" in services[name]["environment"]
    assert "--app-name=basic-auth" in services["mlflow"]["command"]


BREAKS = {
    "is not on 127.0.0.1 only": lambda s: s["mlflow"].update(ports=["5000:5000"]),
    "is not a variable that": lambda s: s["s3"]["environment"].update(AWS_SECRET_ACCESS_KEY="abc"),
    "has to be set": lambda s: s["head"]["environment"].update(RAY_AUTH_TOKEN="${TOKEN:-abc}"),
    "holds a password": lambda s: s["mlflow"]["environment"].update(X="postgresql://a:b@c/d"),
    "not pinned": lambda s: s["s3"].update(image="chrislusf/seaweedfs:latest"),
    "may run as root": lambda s: s["worker"].pop("user"),
    "file system": lambda s: s["worker"].update(read_only=False),
    "keeps capabilities": lambda s: s["postgres"].pop("cap_drop"),
    "may gain privileges": lambda s: s["postgres"].pop("security_opt"),
    "privileged is unknown": lambda s: s["head"].update(privileged=True),
    "nothing tells": lambda s: s["head"].pop("healthcheck"),
    "which is not there": lambda s: s["head"]["depends_on"].update(redis={}),
}


@pytest.mark.parametrize("complaint", BREAKS)
def test_what_is_wrong_is_found(complaint):
    compose = copy.deepcopy(read())
    BREAKS[complaint](compose["services"])
    assert [text for text in complaints(compose) if complaint in text]
