"""What can happen to a cluster, done for real, and undone as an operator or Kubernetes would: a
server is started again, a node comes back as a new one."""

import configparser
import contextlib
import random
import signal
import time

import psutil

S3_AWAY_S = 20.0
BACK_S = 3.0
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
        node = self.dice.choice(self.stack.ray.nodes)
        node.kill()
        time.sleep(BACK_S)
        node.start()
        node.wait()
        return node.name

    def preempt(self):
        """SIGTERM to the workers of a node, which have a while to save and end."""
        found = self.workers()
        if not found:
            return None
        victim = self.dice.choice(found)
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGTERM)
            victim.wait(GRACE_S)
        return f"worker {victim.pid}"

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
        server = next(s for s in self.stack.s3.servers if s.name == "s3-object")
        path = self.stack.s3.folder / "object.conf"
        for reserve in ("100%", "0"):
            config = configparser.RawConfigParser()
            config.optionxform = str
            config.read(path)
            config["DEFAULT"]["fallocate_reserve"] = reserve
            with path.open("w") as stream:
                config.write(stream)
            server.kill()
            server.start()
            server.wait()
            if reserve != "0":
                time.sleep(self.dice.uniform(2, 8))
        return "object server"

    def _away(self, server, seconds=BACK_S):
        server.kill()
        time.sleep(seconds)
        server.start()
        server.wait()
        return "killed"

    def workers(self):
        """Processes that train packs."""
        found = []
        for node in self.stack.ray.nodes:
            process = node.process()
            with contextlib.suppress(psutil.NoSuchProcess):
                found += process.children(recursive=True) if process else []
        return [p for p in found if _is_training(p)]


def _is_training(process):
    try:
        return process.cmdline()[:1] and "PackTrainable" in process.cmdline()[0]
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return False


def plan(seed, count):
    """Kinds in random order, all about equally often, and seconds of quiet before each."""
    dice = random.Random(seed)
    kinds = []
    while len(kinds) < count:
        kinds += dice.sample(Faults.KINDS, len(Faults.KINDS))
    return [(kind, dice.uniform(0.5, 4.0)) for kind in kinds[:count]]
