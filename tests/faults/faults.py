"""What can happen to a cluster, done for real, and undone as an operator or Kubernetes would: a
server is started again, a node comes back as a new one."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

from infra.local.ray import bring_up

ROOT = Path(__file__).resolve().parents[2]
S3_AWAY_S = 20.0
BACK_S = 2.0
"""Seconds until something that was killed is started again."""
GRACE_S = 25.0
"""What a preempted worker has to save its pack."""


class Faults:
    """Does faults to a stack and the driver that uses it.

    Args:
        stack: a running `infra.local.stack.Stack`.
        start_driver: starts the driver again, as whoever resubmits a job.
    """

    KINDS = ("driver", "worker", "node", "preempt", "mlflow", "postgres", "s3", "full")

    def __init__(self, stack, driver, dice):
        self.stack, self.driver, self.dice = stack, driver, dice

    def do(self, kind):
        """Do it and undo the damage; returns what was hit."""
        return getattr(self, "kill_driver" if kind == "driver" else kind)()

    def kill_driver(self):
        self.driver.kill()
        time.sleep(self.dice.uniform(0, BACK_S))
        self.driver.start()
        return "driver"

    def worker(self):
        found = self.workers()
        if not found:
            return None
        victim = self.dice.choice(found)
        victim.kill()
        return f"worker {victim.pid}"

    def node(self):
        """A node with all that runs on it; the cluster gets another in its place."""
        return self._replace(self.dice.choice(self.stack.ray.nodes))

    def preempt(self):
        """A node is taken away in good order: its workers are told to save, as by Kubernetes."""
        node = self.dice.choice(self.stack.ray.nodes)
        raylet = next(p for p in node.family() if p.name() == "raylet")
        command = [sys.executable, "infra/drain.py", "--raylet", str(raylet.pid)]
        subprocess.run(
            [*command, "--seconds", str(GRACE_S)], cwd=ROOT, check=True, capture_output=True,
            env=os.environ | self.stack.ray.env(),
        )  # fmt: skip
        return self._replace(node)

    def mlflow(self):
        return self._away(self.stack.mlflow)

    def postgres(self):
        return self._away(self.stack.postgres)

    def s3(self):
        """Dead, or hanging: it takes connections and does not answer."""
        servers = self.stack.s3.servers
        if self.dice.random() < 0.5:
            self._away(self.stack.s3, S3_AWAY_S)
            return "dead"
        for server in servers:
            server.freeze()
        time.sleep(S3_AWAY_S)
        for server in servers:
            server.thaw()
        return "hanging"

    def full(self):
        """The disk below S3 counts as full: it refuses writes, reads go on."""
        with self.stack.s3.full():
            time.sleep(self.dice.uniform(2, 8))
        return "object server"

    def _replace(self, node):
        node.kill()
        time.sleep(BACK_S)
        bring_up([node])
        return node.name

    def _away(self, server, seconds=BACK_S):
        server.kill()
        time.sleep(seconds)
        server.start()
        server.wait()
        return "killed"

    def workers(self):
        """Processes that train packs."""
        found = [p for node in self.stack.ray.nodes for p in node.family()]
        return [p for p in found if _is_training(p)]


def _is_training(process):
    try:
        return process.cmdline()[:1] and "Trainable" in process.cmdline()[0]
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return False


def plan(seed, count):
    """Kinds in random order, all about equally often, and seconds of quiet before each."""
    dice = random.Random(seed)
    kinds = []
    while len(kinds) < count:
        kinds += dice.sample(Faults.KINDS, len(Faults.KINDS))
    return [(kind, dice.uniform(0.2, 2.0)) for kind in kinds[:count]]
