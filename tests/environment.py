"""The environment of a user who has set nothing, and the commands that tests run in it."""

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GROK = ("-m", "service.cli.commands")
GROK_PHASE = "sweeps/grok_phase.py"
SETTINGS = ("RAY_", "GROK_", "MLFLOW_")
PRIORITY = {"RAY_worker_niceness": "0"}
"""Ray runs its workers at a low priority, to keep a node in reach; beside the other tests they
would hardly run at all."""
TIMEOUT_S = 600
"""Of one command, on a machine on which three other tests start clusters of their own."""


def user_environment(**variables):
    """This process's environment without settings of Ray, MLflow and ours, and with some more."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
    return kept | PRIORITY | {name: str(value) for name, value in variables.items()}


def python(*words, before=(), **variables):
    """A Python in the checkout, to its end."""
    return subprocess.run(
        [*before, sys.executable, *words], cwd=ROOT, env=user_environment(**variables),
        capture_output=True, text=True, timeout=TIMEOUT_S,
    )  # fmt: skip


def python_on_terminal(*words, **variables):
    """The same where its user sits at a terminal: what is shown there, and the exit code."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (40, 120))
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=user_environment(**variables),
        stdin=its, stdout=its, stderr=its,
    )  # fmt: skip
    os.close(its)
    shown = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    return shown.decode(errors="replace"), process.wait(TIMEOUT_S)


def started(*words, **variables):
    """A Python in the checkout, which runs; stdout has all that it prints."""
    return subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=user_environment(**variables),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


IN_NAMESPACE = ("unshare", "-rm", "sh", "-c")
"""A shell with mounts of its own; what follows its script are $0, $1 and so on."""


def can_mount():
    """Whether tests may make one."""
    command = [*IN_NAMESPACE, "mount -t tmpfs none /mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(command).returncode == 0
