"""The environment of a user who has set nothing, for the commands that tests run."""

import os
import shutil
import subprocess

SETTINGS = ("RAY_", "GROK_", "MLFLOW_")
PRIORITY = {"RAY_worker_niceness": "0"}
"""Ray runs its workers at a low priority, to keep a node in reach; beside the other tests they
would hardly run at all."""


def user_environment(**variables):
    """This process's environment without settings of Ray, MLflow and ours, and with some more."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
    return kept | PRIORITY | variables


IN_NAMESPACE = ("unshare", "-rm", "sh", "-c")
"""A shell with mounts of its own; what follows its script are $0, $1 and so on."""


def can_mount():
    """Whether tests may make one."""
    command = [*IN_NAMESPACE, "mount -t tmpfs none /mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(command).returncode == 0
