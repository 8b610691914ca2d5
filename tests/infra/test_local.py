"""Ports and processes of the servers on one machine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.ports import BLOCK, FIRST, LAST, Ports, free_port
from infra.local.process import Server, ServerError
from infra.local.ray import bring_up
from tests.environment import ROOT

CLAIM = "from infra.local.ports import free_port; print([free_port() for _ in range(120)]); input()"


def test_no_two_processes_get_the_same_port():
    mine = {free_port() for _ in range(2 * BLOCK)}
    others = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    given = [json.loads(other.stdout.readline()) for other in others]
    for other in others:
        other.communicate("\n")
    every = [*mine, *(port for ports in given for port in ports)]
    assert len(every) == len(set(every)) == 2 * BLOCK + 3 * 120


def test_the_port_that_tells_others_of_a_block_is_no_servers():
    ports = Ports()
    given = [ports.take() for _ in range(2 * BLOCK)]
    assert not [port for port in given if (port - FIRST) % BLOCK == 0]


def test_ports_are_not_those_that_linux_gives_to_connections():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert FIRST <= free_port() < LAST <= lowest


def test_a_port_with_a_listener_is_passed_over():
    ports = Ports()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    taken = ports.take() + 1
    listener.bind(("127.0.0.3", taken))
    listener.listen()
    assert ports.take() == taken + 1
    listener.close()


@pytest.fixture
def sleeper(tmp_path):
    server = Server("sleeper", tmp_path, ["sleep", "60"], lambda: False)
    server.start()
    yield server
    server.kill()


def test_a_server_is_known_though_the_clock_is_set(sleeper, monkeypatch):
    born = psutil.Process.create_time
    booted = psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: born(self) + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 3600)
    assert sleeper.process() is not None


def test_another_process_with_its_id_is_not_the_server(sleeper):
    known = json.loads(sleeper.pid_file.read_text())
    sleeper.pid_file.write_text(json.dumps(known | {"pid": os.getpid()}))
    assert sleeper.process() is None
    sleeper.pid_file.write_text(json.dumps(known))
    assert sleeper.process() is not None


def test_a_server_that_ends_says_its_last_words(tmp_path):
    words = "print('address already in use'); raise SystemExit(1)"
    server = Server("mute", tmp_path, [sys.executable, "-c", words], lambda: False)
    server.start()
    with pytest.raises(ServerError, match=r"mute ended .*mute.log:\n.*address already in use"):
        server.wait()


def giving_up(folder, times):
    """A node that is not up in time so many times, as on a busy machine, and then is."""
    words = f"""
import pathlib, sys, time
tries = pathlib.Path({str(folder)!r}, "tries")
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) <= {times}:
    sys.exit("timed out during startup")
print("ready", flush=True)
time.sleep(60)
"""
    server = Server("node", folder, [sys.executable, "-c", words], lambda: False)
    server.answers = lambda: server.has_said("ready")
    return server


def test_a_node_that_gave_up_is_started_again_but_not_for_ever(tmp_path):
    server = giving_up(tmp_path, 2)
    bring_up([server])
    assert server.process() is not None
    server.kill()
    server.start()  # what its log has from before does not count
    assert not server.has_said("ready")
    server.kill()
    (tmp_path / "never").mkdir()
    with pytest.raises(ServerError, match=r"node ended .*\n.*timed out during startup"):
        bring_up([giving_up(tmp_path / "never", 100)])
