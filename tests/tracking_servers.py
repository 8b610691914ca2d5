"""MLflow servers as they are: one that can be killed, a slow, a hanging and a dead one."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

from infra.local.ports import free_port

START_S = 120
WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""MLflow would start several processes more, for work with language models."""


class MlflowServer:
    """`mlflow server` over SQLite in a folder, always on the same port."""

    def __init__(self, folder, nice=0):
        self.folder, self.port, self.process = folder, free_port(), None
        self.command = ["nice", "-n", str(nice), sys.executable, "-m", "mlflow", "server"]
        self.uri = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        with open(f"{self.folder}/server.log", "a") as log:
            self.process = subprocess.Popen(
                [*self.command, *store, *place], cwd=self.folder, env=os.environ | WITHOUT_JOBS,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
                return
            except OSError:
                assert self.process.poll() is None, "the server ended; see server.log"
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def kill(self):
        """As a crash would: no connection is closed in good order."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def hanging_server():
    """URI of a server that takes every request and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for connection in taken:
            connection.close()


@contextlib.contextmanager
def slow_server(port, delay_s):
    """URI of a proxy that hands what it is sent to another port after a delay."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(client):
            with contextlib.suppress(OSError), client:
                server = socket.create_connection(("127.0.0.1", port))
                with server:
                    threading.Thread(target=copy, args=(server, client, 0.0), daemon=True).start()
                    copy(client, server, delay_s)

        def copy(source, target, wait_s):
            with contextlib.suppress(OSError):
                while data := source.recv(1 << 20):
                    time.sleep(wait_s)
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def dead_server():
    """URI at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
