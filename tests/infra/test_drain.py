"""What runs before a pod stops, on a real Ray cluster: workers save, nothing new comes."""

import json
import os
import signal
import subprocess
import sys

import pytest

from infra import alive, drain
from tests.environment import ROOT, python

pytestmark = pytest.mark.cluster

CLUSTER = """
import json, pathlib, signal, subprocess, sys, time
import ray
from ray.cluster_utils import Cluster

saved, script = pathlib.Path(sys.argv[1]), sys.argv[2]
for left in (2, 1, 0):  # Ray gives a node 30 s to start, which a busy machine does not always have
    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0, include_dashboard=False)
        node = cluster.add_node(num_cpus=2)
        break
    except Exception:
        cluster.shutdown()
        if not left:
            raise
cluster.wait_for_nodes()
ray.init(address=cluster.address, log_to_driver=False)

@ray.remote(num_cpus=1)
class Pack:
    def ready(self):
        return True

    def train(self):
        def save(*_):
            time.sleep(1)
            saved.write_text("saved")
            sys.exit(0)

        signal.signal(signal.SIGTERM, save)
        saved.with_name("training").touch()
        time.sleep(600)

@ray.remote(num_cpus=1)
def another():
    return 1

pack = Pack.remote()
ray.get(pack.ready.remote())
run = pack.train.remote()
while not saved.with_name("training").exists():
    time.sleep(0.1)
raylet = next(p for p in map(vars, __import__("infra.drain").drain.processes())
              if p["words"][0].endswith("raylet") and f"--node_id={node.node_id}" in p["words"])
command = [sys.executable, script, "--seconds", "20", "--raylet", str(raylet["pid"])]
started = time.monotonic()
done = subprocess.run(command, capture_output=True, text=True)
took = time.monotonic() - started
alive = [n["Alive"] for n in ray.nodes() if n["NodeID"] == node.node_id]
later, waiting = ray.wait([another.remote()], timeout=4)
print(json.dumps({"out": done.stdout, "took": took, "saved": saved.exists(), "alive": alive,
                  "placed": len(later)}))
ray.shutdown()
cluster.shutdown()
"""


def test_workers_save_and_nothing_new_is_placed(tmp_path):
    done = python("-c", CLUSTER, str(tmp_path / "saved"), str(ROOT / "infra" / "drain.py"))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["out"] == "drain: all workers ended\n"
    assert found["saved"], "the worker was killed before it had saved"
    assert 1 < found["took"] < 20
    assert found["placed"] == 0, "Ray places work on a node that leaves"


def test_agents_of_the_raylet_are_no_workers():
    """If this fails: the raylet ends with its agent and kills workers that are saving."""
    words = [
        ("ray::Pack.train",),
        ("ray::IDLE",),
        ("ray::DashboardAgent",),
        ("ray::RuntimeEnvAgent",),
    ]
    assert [drain.Process(1, 1, w).is_worker for w in words] == [True, True, False, False]
    from ray._private import ray_constants

    names = vars(ray_constants)
    agents = {v for k, v in names.items() if k.startswith("AGENT_PROCESS_TYPE")}
    assert {name for name in agents if name.startswith("ray::")} <= set(drain.AGENTS)


def test_a_worker_that_does_not_end_is_not_waited_for():
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    home = "import subprocess, sys, time; subprocess.Popen(['ray::Pack.train', '-c', sys.argv[1]], "
    home += "executable=sys.argv[2]); time.sleep(1); print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        ["/opt/raylet", "-c", home, stubborn, sys.executable],
        executable=sys.executable,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        try:
            assert drain.drain(1.5, process.pid) == 1
        finally:
            for child in [p for p in drain.processes() if p.parent == process.pid]:
                os.kill(child.pid, signal.SIGKILL)
            process.kill()


def test_where_nothing_answers_ray_is_not_alive(monkeypatch, capsys):
    monkeypatch.setattr(alive, "AGENT", "http://127.0.0.1:9")
    assert alive.main([]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err
