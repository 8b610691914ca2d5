"""Ask the Ray workers of this machine to save and end: what Kubernetes runs before it stops a pod.

    python infra/drain.py --seconds 25

A worker process that gets SIGTERM saves its pack and ends. Nothing else would tell it: the kubelet
signals the first process of the container only, and Ray kills what still runs. So the workers are
signalled first, since a spot machine may be gone in 15 seconds; then Ray hears that the machine
leaves, so that it starts nothing new here. Needs nothing but the standard library and `ray`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.2
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Helpers of the raylet that are named like workers: without one of them it kills all workers."""


@dataclass(frozen=True)
class Process:
    """A running process, as /proc tells it."""

    pid: int
    parent: int
    words: tuple[str, ...]
    """Its command line. Ray names workers `ray::<what they do>`."""

    @property
    def is_raylet(self) -> bool:
        return Path(self.words[0]).name == "raylet"

    @property
    def is_worker(self) -> bool:
        return self.words[0].startswith("ray::") and not self.words[0].startswith(AGENTS)

    def flag(self, name: str) -> str | None:
        """Value of `--name=value`, with - or _ between its words."""
        for word in self.words:
            key, _, value = word.partition("=")
            if key.lstrip("-").replace("-", "_") == name:
                return value
        return None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=25, help="wait no longer (default 25)")
    parser.add_argument(
        "--raylet", type=int, help="pid: its workers only (default: every raylet's)"
    )
    args = parser.parse_args(argv)
    left = drain(args.seconds, args.raylet)
    print(f"drain: {left} workers still ran" if left else "drain: all workers ended", flush=True)
    return 0  # the pod stops anyhow


def drain(seconds: float, raylet: int | None = None) -> int:
    """Signal workers until none is left or the time is up; how many are left."""
    deadline = time.monotonic() + seconds
    told: set[int] = set()
    leaving: list[subprocess.Popen[bytes]] = []
    while True:
        running = processes()
        raylets = [p for p in running if p.is_raylet and raylet in (None, p.pid)]
        homes = {p.pid for p in raylets}
        workers = {p.pid for p in running if p.is_worker and p.parent in homes}
        for pid in workers - told:  # those that came later too: each once, a second might hurt
            signal_process(pid)
        told |= workers
        if not leaving:
            leaving = [announce(p, seconds) for p in raylets]
        announced = all(p.poll() is not None for p in leaving)
        if (not workers and announced) or time.monotonic() >= deadline:
            for process in leaving:
                if process.poll() is None:
                    process.kill()
            return len(workers)
        time.sleep(POLL_S)


def announce(raylet: Process, seconds: float) -> subprocess.Popen[bytes]:
    """Tell Ray that this node leaves, and wait for nothing; it not hearing is not an error."""
    words = [
        *("drain-node", f"--address={raylet.flag('gcs_address')}"),
        *(f"--node-id={raylet.flag('node_id')}", "--reason=DRAIN_NODE_REASON_PREEMPTION"),
        *("--reason-message=the pod stops", f"--deadline-remaining-seconds={int(seconds)}"),
    ]
    return subprocess.Popen([sys.executable, "-m", "ray.scripts.scripts", *words])


def processes() -> list[Process]:
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if words[0] and status[0] != "Z":
            found.append(Process(int(folder.name), int(status[1]), tuple(words)))
    return found


def signal_process(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError:
        return  # it has ended meanwhile


if __name__ == "__main__":
    sys.exit(main())
