"""MLflow servers as they are: one that can be killed, a slow, a hanging and a dead one."""

import contextlib
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path

from infra.local.ports import free_port
from infra.local.process import Server


class MlflowServer(Server):
    """`mlflow` over SQLite, without a password, always on the same port.

    Args:
        database: file of its runs; one of its own in the folder if None.
        nice: how far it stands back behind others.
    """

    def __init__(self, folder, database=None, nice=0):
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        command = ["nice", "-n", str(nice), sys.executable, "-m", "mlflow", "server"]
        command += ["--backend-store-uri", f"sqlite:///{database or Path(folder) / 'server.db'}"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        # MLflow would start several processes more, for work with language models
        env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        super().__init__("mlflow", Path(folder), command, self._answers, env)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        super().start()
        self.wait()

    def _answers(self):
        with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
            return answer.status == 200


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
