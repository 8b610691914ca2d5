"""A Ray that is really started: from odd places, beside others, and where it cannot be."""

import json
import shutil
import site
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest

from infra.local.ports import free_port
from tests.environment import IN_NAMESPACE, can_mount, user_environment
from tests.sweeps.scripts import ROOT

pytestmark = pytest.mark.cluster

START = """
import json, sys
import ray
from service.schedule import cluster

cluster.WORKER_S = 20.0
try:
    cluster.start_ray()
    where = ray.remote(lambda: sys.executable)
    print(json.dumps([ray.get(where.remote(), timeout=60), len(ray.nodes())]))
except cluster.ClusterError as error:
    print(json.dumps(str(error)))
"""


def python_in(folder):
    """A Python of an environment of its own, with the packages of this one."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    here = [*site.getsitepackages(), *(p for p in sys.path if p.endswith("site-packages"))]
    (packages / "others.pth").write_text("\n".join(here))
    return str(folder / "bin" / "python")


def start(python=sys.executable, before=(), cwd=ROOT, **variables):
    """What `start_ray` comes to, and where its workers run."""
    done = subprocess.run(
        [*before, python, "-c", START], cwd=cwd, env=user_environment(**variables),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def node():
    """Starts a cluster of one node; returns what a driver beside it has in its environment."""
    started = []

    def begin(python, cwd):
        temp = tempfile.mkdtemp(prefix="grok-", dir="/tmp")
        ports = [free_port() for _ in range(3)]
        command = [python, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        command += ["--port", str(ports[0]), "--ray-client-server-port", str(ports[1])]
        command += ["--dashboard-agent-listen-port", str(ports[2]), "--num-cpus", "1"]
        command += ["--include-dashboard", "false", "--disable-usage-stats"]
        shared = {"TMPDIR": temp, "RAY_AUTH_MODE": "disabled"}
        head = subprocess.Popen(
            command, cwd=cwd, env=user_environment(**shared), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append((head, temp))
        for line in head.stdout:
            if "Ray runtime started" in line:
                return {"RAY_ADDRESS": f"127.0.0.1:{ports[0]}"} | shared
        raise AssertionError("no Ray")

    yield begin
    for head, temp in started:
        head.terminate()
        head.wait(60)
        head.stdout.close()
        shutil.rmtree(temp, ignore_errors=True)


def test_a_checkout_in_a_folder_with_a_space(tmp_path):
    python = python_in(tmp_path / 'my $new "checkout"')
    assert start(python) == [python, 1]


def test_a_folder_that_ray_cannot_run_from_is_named(tmp_path):
    python = python_in(tmp_path / "Ada's checkout")
    said = start(python)
    assert said.startswith(f"Ray cannot run from {python}")


def test_a_cluster_that_starts_no_worker_is_refused(tmp_path, node):
    python = Path(python_in(tmp_path / "breaks"))
    cluster = node(str(python), tmp_path)
    assert start(**cluster) == [str(python), 1]
    python.unlink()
    python.symlink_to("/bin/false")
    said = start(**cluster)
    assert said.startswith("no worker of Ray starts on any of 1 nodes: nothing within 20 s")


def test_a_cluster_without_our_modules_is_refused_and_one_that_is_not_named_not_joined(
    tmp_path, node
):
    cluster = node(python_in(tmp_path / "bare"), tmp_path)
    said = start(cwd=tmp_path, PYTHONPATH=str(ROOT), **cluster)
    assert "no worker of Ray starts on any of 1 nodes: No module named 'service'" in said
    assert start(**cluster | {"RAY_ADDRESS": ""}) == [sys.executable, 1]


@pytest.mark.parametrize("variable", ["HOME", "RAY_TMPDIR", "TMPDIR"])
def test_a_folder_that_cannot_be_written_is_named(variable):
    said = start(**{variable: "/proc/none"})
    assert said.startswith("Ray does not start on this machine: ")
    assert "/proc/none" in said


@pytest.mark.skipif(not can_mount(), reason="needs a mount namespace")
def test_shared_memory_that_cannot_be_written_is_named():
    mount = 'mount -t tmpfs -o ro none /dev/shm && exec "$0" "$@"'
    assert "/dev/shm" in start(before=[*IN_NAMESPACE, mount])


NODES = """
import sys
from pathlib import Path
from infra.local.ray import Ray

ray = Ray(Path(sys.argv[1]), Path(sys.argv[2]), "t" * 48, nodes=1)
ray.start()
print(ray.address, flush=True)
sys.stdin.read()
ray.stop()
"""


def test_the_local_stack_of_a_checkout_in_a_folder_with_a_space(tmp_path):
    python = python_in(tmp_path / "my checkout")
    temp = Path(tempfile.mkdtemp(prefix="grok-", dir="/tmp"))
    command = [python, "-c", NODES, str(tmp_path / "my checkout" / "ray"), str(temp / "ray")]
    with subprocess.Popen(
        command, cwd=ROOT, env=user_environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as stack:  # fmt: skip
        address = stack.stdout.readline().strip()
        token = str(tmp_path / "my checkout" / "ray" / "token")
        found = start(RAY_ADDRESS=address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=token)
        stack.stdin.close()
    shutil.rmtree(temp)
    assert found == [f"{temp}/ray/environment/bin/python", 2]
